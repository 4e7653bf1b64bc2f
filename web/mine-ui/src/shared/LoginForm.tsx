import { Alert, Button, PasswordInput, Stack } from "@mantine/core";
import { explain, ServiceError } from "@openmined/shared/ui";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ask } from "./api";

/** Asks for the passphrase; it is kept nowhere. */
export function LoginForm({ done }: { done?: () => void }) {
  const [passphrase, setPassphrase] = useState("");
  const queries = useQueryClient();
  const login = useMutation({
    mutationFn: () => ask<{ logged_in: boolean }>("POST", "/session", { passphrase }),
    onSuccess: async (session) => {
      setPassphrase("");
      queries.setQueryData(["session"], session);
      done?.();
      await queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "session" });
    },
  });
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (passphrase) login.mutate();
  };
  return (
    <form onSubmit={send}>
      <Stack>
        <PasswordInput
          label="Passphrase of the mine"
          description="Chosen when the mine was made. Of a mine that openmined up has made, it is in the file that openmined up names"
          autoComplete="current-password"
          value={passphrase}
          onChange={(event) => setPassphrase(event.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": "Show or hide the passphrase", tabIndex: 0 }}
          data-autofocus
          autoFocus
        />
        {login.isError && <Refused error={login.error} />}
        <Button type="submit" loading={login.isPending} disabled={passphrase === ""}>
          Log in
        </Button>
      </Stack>
    </form>
  );
}

function Refused({ error }: { error: unknown }) {
  const said = wordsFor(error);
  return (
    <Alert color="red" variant="light" title={said.title} role="alert">
      {said.advice}
    </Alert>
  );
}

function wordsFor(error: unknown) {
  if (!(error instanceof ServiceError)) return explain(error);
  if (error.status === 401)
    return {
      title: "That passphrase does not open this mine",
      advice: "It is the one that was given when the mine was made. After five wrong ones the door closes for five minutes.",
    };
  if (error.status === 429) return { title: "Too many wrong passphrases", advice: `${error.detail}.` };
  return explain(error);
}
