import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ServiceError } from "./explain";
import { theme } from "./theme";

/** Starts an application in the page's `#root`. */
export function startApp(content: ReactNode): void {
  const root = document.getElementById("root");
  if (!root) throw new Error("the page has no #root");
  const queries = new QueryClient({
    defaultOptions: { queries: { retry: worthRetrying, refetchOnWindowFocus: true, staleTime: 2_000 } },
  });
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={queries}>{content}</QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}

function worthRetrying(failures: number, error: unknown): boolean {
  const refused = error instanceof ServiceError && error.status < 500 && error.status !== 429;
  return !refused && failures < 2;
}
