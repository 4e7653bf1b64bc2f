import { Alert, Button, Skeleton, Stack, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
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

/** A query of TanStack's, of one answer or of pages. */
interface Asked<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  refetch(): unknown;
}

/** What a query has: its rows, a placeholder while it waits, the failure with a way on. */
export function Loaded<T>({ query, children, lines = 4 }: { query: Asked<T>; children: (data: T) => ReactNode; lines?: number }) {
  const failed = useLastFailure(query);
  if (query.data !== undefined) return children(query.data);
  if (failed !== null) return <Failure error={failed} retry={() => void query.refetch()} />;
  return (
    <Stack gap="sm" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={24} />
      ))}
    </Stack>
  );
}

/** A query forgets its failure when it is tried again; a reader, and her hand on the button, should not. */
function useLastFailure({ data, error }: Asked<unknown>): unknown {
  const [failed, setFailed] = useState<unknown>(null);
  const now = data !== undefined ? null : (error ?? failed);
  if (now !== failed) setFailed(now);
  return now;
}
