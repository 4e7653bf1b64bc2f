import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Failure } from "@openmined/shared/ui";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { ask, useChange } from "../../shared/api";
import { count } from "../../shared/words";

/** Deletes a dataset, after its name was typed. */
export function DeleteDataset({ name, rows }: { name: string; rows: number }) {
  const [opened, { open, close }] = useDisclosure();
  const [typed, setTyped] = useState("");
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const remove = useChange(
    () => ask<void>("DELETE", `/datasets/${encodeURIComponent(name)}`),
    () => {
      navigate("/data");
      queries.removeQueries({ queryKey: ["mine", "datasets", name] });
    },
  );
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (typed === name) remove.mutate(undefined);
  };
  return (
    <>
      <Button variant="default" onClick={open}>
        Delete
      </Button>
      <Modal opened={opened} onClose={close} title={`Delete ${name}`} closeButtonProps={{ "aria-label": "Close" }}>
        <form onSubmit={send}>
          <Stack>
            <Text size="sm">
              {count(rows, "row")} and everything computed from them are deleted from this machine, and cannot be brought back. What the
              dataset has earned stays yours; the privacy it has spent stays written down.
            </Text>
            <TextInput
              label={`Type ${name} to delete it`}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              autoComplete="off"
              data-autofocus
            />
            {remove.isError && <Failure error={remove.error} title="It was not deleted" />}
            <Group justify="end">
              <Button variant="default" onClick={close}>
                Keep it
              </Button>
              <Button type="submit" color="red.9" disabled={typed !== name} loading={remove.isPending}>
                Delete for good
              </Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}
