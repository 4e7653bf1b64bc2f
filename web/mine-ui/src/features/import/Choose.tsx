import { Alert, Button, Group, Progress, Stack, Text, TextInput } from "@mantine/core";
import { formatBytes } from "@openmined/shared/format";
import { Failure, Refusal } from "@openmined/shared/ui";
import { useState } from "react";
import { Dropzone } from "./Dropzone";
import { type Draft, EMPTY, MAX_UPLOAD_BYTES, suggestName } from "./plan";
import { useSending } from "./useSending";

export function Choose({ draft, onChange }: { draft: Draft; onChange: (draft: Draft) => void }) {
  const sending = useSending(onChange);
  const [path, setPath] = useState("");
  const [refused, setRefused] = useState<unknown>();
  const lookAt = () => onChange({ ...EMPTY, stage: "look", path: path.trim(), name: path.trim(), dataset: suggestName(path) });
  const take = (files: readonly File[], folder: boolean) => {
    setRefused(undefined);
    const [file, ...others] = files;
    if (folder) setRefused(new Refusal("That is a folder", "Make it a zip archive first, or give its path on the mine’s machine."));
    else if (others.length > 0) setRefused(new Refusal("One file at a time", "Put them into a zip archive if they belong together."));
    else if (file) sending.send(file);
  };
  if (sending.sent !== undefined)
    return <Sending name={sending.sent.name} bytes={sending.sent.bytes} done={sending.sent.done} cancel={sending.cancel} />;
  const fault = refused ?? sending.error;
  return (
    <Stack gap="lg">
      {draft.stage === "sending" && (
        <Alert color="yellow" variant="light" title="The upload was interrupted" role="alert">
          <span className="om-breaks">{draft.name}</span> had not arrived when the page was reloaded, and nothing was kept of it. Choose it
          again.
        </Alert>
      )}
      {fault !== undefined && fault !== null && <Failure error={fault} />}
      <Dropzone take={take} />
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (path.trim()) lookAt();
        }}
      >
        <Group align="end" gap="sm">
          <TextInput
            label="Or a path on the mine’s machine"
            description={`For files and folders of any size: more than ${formatBytes(MAX_UPLOAD_BYTES)} cannot be sent by a browser`}
            placeholder="/home/me/twitter-2026.zip"
            value={path}
            maxLength={4096}
            onChange={(event) => setPath(event.currentTarget.value)}
            style={{ flex: "1 1 18rem" }}
          />
          <Button type="submit" variant="default" disabled={path.trim() === ""}>
            Look at it
          </Button>
        </Group>
      </form>
    </Stack>
  );
}

function Sending({ name, bytes, done, cancel }: { name: string; bytes: number; done: number; cancel: () => void }) {
  return (
    <Stack gap="sm">
      <Text role="status" className="om-breaks">
        Sending {name}: {formatBytes(done)} of {formatBytes(bytes)}
      </Text>
      <Progress value={(100 * done) / Math.max(1, bytes)} aria-label="Progress of the upload" />
      <Group>
        <Button variant="default" onClick={cancel}>
          Cancel
        </Button>
      </Group>
    </Stack>
  );
}
