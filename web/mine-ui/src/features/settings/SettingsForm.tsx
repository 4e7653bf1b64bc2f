import { Alert, Button, Checkbox, Group, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { Failure } from "@openmined/shared/ui";
import { useState } from "react";
import { ask, type Settings, useChange } from "../../shared/api";
import { useDraft } from "../../shared/draft";
import { FIELDS, type Form, formOf, settingsOf } from "./form";

export function SettingsForm({ settings }: { settings: Settings }) {
  const [draft, setDraft, drop] = useDraft<Form | null>("settings", null);
  const [saved, setSaved] = useState(false);
  const form = draft ?? formOf(settings);
  const read = settingsOf(form, settings);
  const faults = "faults" in read ? read.faults : {};
  const change = (part: Partial<Form>) => {
    setSaved(false);
    setDraft({ ...form, ...part });
  };
  const save = useChange(
    (wanted: Settings) => ask<Settings>("PATCH", "/settings", wanted),
    () => {
      drop();
      setSaved(true);
    },
  );
  return (
    <Stack gap="lg">
      <TextInput
        label="Name of the mine"
        description="In its log, and on this page"
        value={form.name}
        error={faults.name}
        maxLength={64}
        w={{ base: "100%", sm: 420 }}
        onChange={(event) => change({ name: event.currentTarget.value })}
      />
      {(["loop", "limits"] as const).map((group) => (
        <SimpleGrid key={group} cols={{ base: 1, sm: 2 }}>
          {FIELDS[group].map((field) => (
            <TextInput
              key={field.name}
              label={field.label}
              description={field.description}
              inputMode="decimal"
              inputWrapperOrder={["label", "input", "description", "error"]}
              value={form.values[field.name] ?? ""}
              error={faults[field.name]}
              onChange={(event) => change({ values: { ...form.values, [field.name]: event.currentTarget.value } })}
            />
          ))}
        </SimpleGrid>
      ))}
      <Stack gap="xs">
        <Checkbox
          label="Tell a statistics service how many rows of published schemas are here"
          checked={form.reporting}
          onChange={(event) => change({ reporting: event.currentTarget.checked })}
        />
        <Text size="sm" className="om-muted" maw={760}>
          Counts only, once a day, signed by the wallet; never a row, a name or a dataset that is denied to everybody. They are published as
          sums over several mines.
        </Text>
        {form.reporting && (
          <TextInput
            label="Its address"
            placeholder="https://stats.example.org"
            value={form.url}
            error={faults.url}
            w={{ base: "100%", sm: 420 }}
            onChange={(event) => change({ url: event.currentTarget.value })}
          />
        )}
      </Stack>
      {save.isError && <Failure error={save.error} title="The settings were not saved" />}
      {saved && (
        <Alert color="teal" variant="light" role="status" title="Saved">
          The mine takes them up at its next look.
        </Alert>
      )}
      <Group>
        <Button
          disabled={!("settings" in read) || draft === null}
          loading={save.isPending}
          onClick={() => "settings" in read && save.mutate(read.settings)}
        >
          Save the settings
        </Button>
        {draft !== null && (
          <Button variant="default" onClick={drop}>
            Discard changes
          </Button>
        )}
      </Group>
    </Stack>
  );
}
