import { Alert, Button, Skeleton, Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { explain } from "./explain";

/** What failed, and what to do about it. Announced to screen readers. */
export function Failure({ error, retry, title }: { error: unknown; retry?: (() => void) | undefined; title?: string }) {
  const said = explain(error);
  return (
    <Alert color="red" variant="light" title={title ?? said.title} role="alert">
      <Text size="sm" className="om-breaks">
        {title ? `${said.title}. ` : ""}
        {said.advice}
      </Text>
      {retry && (
        <Button size="xs" mt="sm" variant="default" onClick={retry}>
          Try again
        </Button>
      )}
    </Alert>
  );
}

/** Nothing here, in words: why, and what would bring something. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Stack gap={4} py="lg" align="center">
      <Text fw={600}>{title}</Text>
      {children && (
        <Text size="sm" className="om-muted" ta="center" component="div">
          {children}
        </Text>
      )}
    </Stack>
  );
}

/** What a query has: its rows, a placeholder while it waits, the failure with a way on. */
export function Loaded<T>({ query, children, lines = 4 }: { query: UseQueryResult<T>; children: (data: T) => ReactNode; lines?: number }) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return (
    <Stack gap="sm" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={24} />
      ))}
    </Stack>
  );
}
