import { ActionIcon, Anchor, Box, Container, Group, Text, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";
import { Link, useLocation } from "wouter";
import { useFreshPage } from "./useFreshPage";

export interface Place {
  readonly to: string;
  readonly label: string;
}

/** The frame of every page: name, places, light or dark, what the application adds to the right. */
export function Frame(props: { name: string; places: readonly Place[]; aside?: ReactNode; foot?: ReactNode; children: ReactNode }) {
  const [location] = useLocation();
  useFreshPage(location);
  return (
    <>
      <a className="om-skip" href="#content">
        To the content
      </a>
      <Box component="header" style={{ borderBottom: "1px solid var(--om-line)" }}>
        <Container size="lg" py="sm" className="om-head">
          <Anchor component={Link} href="/" underline="never" c="inherit" fw={700}>
            {props.name}
          </Anchor>
          {props.places.length > 0 && (
            <nav className="om-places" aria-label="Pages">
              {props.places.map((place) => (
                <PlaceLink key={place.to} place={place} here={isHere(location, place.to)} />
              ))}
            </nav>
          )}
          <Group gap="sm" wrap="nowrap" className="om-aside">
            {props.aside}
            <SchemeToggle />
          </Group>
        </Container>
      </Box>
      <Container size="lg" py="lg" component="main" id="content" tabIndex={-1} style={{ outline: "none" }}>
        {props.children}
      </Container>
      <Container size="lg" py="xl" component="footer">
        <Text size="sm" className="om-muted" component="div">
          {props.foot}
        </Text>
      </Container>
    </>
  );
}

/** On a narrow screen the places scroll sideways: where one is, stays in sight. */
function PlaceLink({ place, here }: { place: Place; here: boolean }) {
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    if (here) link.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [here]);
  return (
    <Anchor
      ref={link}
      component={Link}
      href={place.to}
      size="sm"
      underline={here ? "always" : "hover"}
      aria-current={here ? "page" : undefined}
    >
      {place.label}
    </Anchor>
  );
}

function isHere(location: string, to: string): boolean {
  return to === "/" ? location === "/" : location === to || location.startsWith(`${to}/`);
}

function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <ActionIcon variant="default" size="lg" aria-label={`Use ${other} colours`} onClick={() => setColorScheme(other)}>
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" strokeWidth="1.6" />
        <path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" fill="currentColor" />
      </svg>
    </ActionIcon>
  );
}
