import { Container, Modal, Skeleton, Stack, Text, Title } from "@mantine/core";
import { Failure, Frame, ServiceError } from "@openmined/shared/ui";
import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef } from "react";
import { ask } from "../shared/api";
import { LoginForm } from "../shared/LoginForm";

/** Lets the owner in. A session that ends later is asked for above the page, which keeps what was entered. */
export function Gate({ children }: { children: (open: boolean) => ReactNode }) {
  const queries = useQueryClient();
  const session = useQuery({
    queryKey: ["session"],
    queryFn: () => ask<{ logged_in: boolean }>("GET", "/session"),
    refetchInterval: 30_000,
  });
  const wasOpen = useRef(false);
  useEffect(() => watchForExpiry(queries), [queries]);
  const open = session.data?.logged_in;
  if (open) wasOpen.current = true;
  if (open || wasOpen.current) {
    return (
      <>
        {children(open === true)}
        <Modal
          opened={open === false}
          onClose={() => undefined}
          withCloseButton={false}
          closeOnEscape={false}
          closeOnClickOutside={false}
          centered
          title="Your session has ended"
        >
          <Stack>
            <Text size="sm">Log in to go on. Nothing that you entered is lost.</Text>
            <LoginForm />
          </Stack>
        </Modal>
      </>
    );
  }
  return (
    <Frame name="Mine" places={[]}>
      <Container size={420} px={0}>
        <Stack>
          <div>
            <Title order={1}>Log in</Title>
            <Text className="om-muted">This mine keeps its owner’s data, and decides about them as its owner wants.</Text>
          </div>
          {session.isError ? (
            <Failure error={session.error} title="The mine is away" retry={() => void session.refetch()} />
          ) : open === undefined ? (
            <Skeleton height={120} aria-label="Loading" />
          ) : (
            <LoginForm />
          )}
        </Stack>
      </Container>
    </Frame>
  );
}

/** Any answer that says "log in first" ends the session here too, whatever was asked. */
function watchForExpiry(queries: QueryClient): () => void {
  const look = (error: unknown) => {
    if (error instanceof ServiceError && error.status === 401) queries.setQueryData(["session"], { logged_in: false });
  };
  const stops = [
    queries.getQueryCache().subscribe((event) => event.type === "updated" && event.action.type === "error" && look(event.action.error)),
    queries.getMutationCache().subscribe((event) => event.type === "updated" && event.action.type === "error" && look(event.action.error)),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
