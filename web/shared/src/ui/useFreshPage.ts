import { useEffect, useRef } from "react";

/** A page that a link led to begins at its top, for eyes and keyboard alike; one that was gone back to stands where it was left. */
export function useFreshPage(location: string): void {
  const here = useRef(location);
  const goneBack = useRef(false);
  useEffect(() => {
    const onPop = () => {
      goneBack.current = window.location.pathname !== here.current;
    };
    window.addEventListener("popstate", onPop);
    return () => window.removeEventListener("popstate", onPop);
  }, []);
  useEffect(() => {
    if (here.current === location) return;
    here.current = location;
    if (!goneBack.current) window.scrollTo(0, 0);
    goneBack.current = false;
    document.getElementById("content")?.focus({ preventScroll: true });
  }, [location]);
}
