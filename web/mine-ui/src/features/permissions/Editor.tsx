import { Checkbox, Group, NativeSelect, Radio, SimpleGrid, Stack, Text, Textarea, TextInput } from "@mantine/core";
import type { ReactNode } from "react";
import type { TableSchema } from "../../shared/api";
import type { Faults, Form, Mode } from "./form";

/** Boxes of a row stand in one line, however long what is said about them. */
const UNDER: ("label" | "input" | "description" | "error")[] = ["label", "input", "description", "error"];

interface Props {
  form: Form;
  faults: Faults;
  schema: TableSchema;
  onChange: (part: Partial<Form>) => void;
}

/** The permission's sentences with their blanks to be filled in. */
export function Editor({ form, faults, schema, onChange }: Props) {
  const denied = form.mode === "deny";
  return (
    <Stack gap="lg">
      <Radio.Group label="Which campaigns may use it" value={form.mode} onChange={(mode) => onChange({ mode: mode as Mode })}>
        <Stack gap="xs" mt="xs">
          <Radio value="deny" label="None" />
          <Radio value="ask" label="Those that fit the lines below, and that I approve one by one" />
          <Radio value="automatic" label="All that fit the lines below, without asking me" />
        </Stack>
      </Radio.Group>
      {!denied && (
        <>
          <Fields form={form} faults={faults} schema={schema} onChange={onChange} />
          <Money form={form} faults={faults} onChange={onChange} />
          <Limits form={form} faults={faults} onChange={onChange} />
          <Parties form={form} faults={faults} onChange={onChange} />
          <Times form={form} faults={faults} onChange={onChange} />
        </>
      )}
    </Stack>
  );
}

type Part = Omit<Props, "schema">;

function Lines({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}>
      <Text component="legend" fw={600} mb="xs" p={0}>
        {title}
      </Text>
      {children}
    </fieldset>
  );
}

function Fields({ form, faults, schema, onChange }: Props) {
  const toggle = (name: string, wanted: boolean) =>
    onChange({ fields: wanted ? [...form.fields, name] : form.fields.filter((other) => other !== name) });
  return (
    <Lines title="They may use these fields">
      <Stack gap="xs">
        <Checkbox
          label="Every field, also those that later imports bring"
          checked={form.every}
          onChange={(event) => onChange({ every: event.currentTarget.checked })}
        />
        {!form.every && (
          <Group gap="md" style={{ maxHeight: 240, overflowY: "auto" }} tabIndex={schema.fields.length > 40 ? 0 : -1}>
            {schema.fields.map((field) => (
              <Checkbox
                key={field.name}
                label={field.name}
                checked={form.fields.includes(field.name)}
                onChange={(event) => toggle(field.name, event.currentTarget.checked)}
              />
            ))}
          </Group>
        )}
        {faults.fields && (
          <Text size="sm" c="var(--om-bad)" role="alert">
            {sentence(faults.fields)}
          </Text>
        )}
      </Stack>
    </Lines>
  );
}

function Money({ form, faults, onChange }: Part) {
  return (
    <Lines title="They pay">
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <TextInput
          label="At least, in ETH"
          description="The campaign’s bounty for all its mines, Capsule’s fee taken off"
          inputWrapperOrder={UNDER}
          inputMode="decimal"
          value={form.minBounty}
          error={sentence(faults.minBounty)}
          onChange={(event) => onChange({ minBounty: event.currentTarget.value })}
        />
        <TextInput
          label="Bond at most, in ETH"
          description="Put at stake for one gradient; it comes back unless the gradient is harmful"
          inputWrapperOrder={UNDER}
          inputMode="decimal"
          value={form.maxBond}
          error={sentence(faults.maxBond)}
          onChange={(event) => onChange({ maxBond: event.currentTarget.value })}
        />
      </SimpleGrid>
    </Lines>
  );
}

function Limits({ form, faults, onChange }: Part) {
  return (
    <Lines title="They learn">
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <TextInput
          label="Gradients for one campaign, at most"
          description="Each tells Capsule a little more about your rows together"
          inputWrapperOrder={UNDER}
          inputMode="numeric"
          value={form.maxRounds}
          error={sentence(faults.maxRounds)}
          onChange={(event) => onChange({ maxRounds: event.currentTarget.value })}
        />
        <TextInput
          label="Privacy budget (epsilon), over all campaigns"
          description="Small is private: 1 is strong, 10 is weak. Empty: no budget, exact sums. Set, it refuses campaigns that offer no differential privacy"
          inputWrapperOrder={UNDER}
          inputMode="decimal"
          placeholder="none"
          value={form.epsilon}
          error={sentence(faults.epsilon)}
          onChange={(event) => onChange({ epsilon: event.currentTarget.value })}
        />
      </SimpleGrid>
    </Lines>
  );
}

function Parties({ form, faults, onChange }: Part) {
  const area = (
    name: "dataScientists" | "deniedDataScientists" | "capsules" | "deniedCapsules" | "tokens",
    label: string,
    placeholder: string,
  ) => (
    <Textarea
      label={label}
      placeholder={placeholder}
      autosize
      minRows={1}
      maxRows={6}
      spellCheck={false}
      value={form[name]}
      error={sentence(faults[name])}
      onChange={(event) => onChange({ [name]: event.currentTarget.value })}
    />
  );
  return (
    <Lines title="They come from">
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        {area("dataScientists", "Only these data scientists", "anybody")}
        {area("deniedDataScientists", "Never these data scientists", "nobody is shut out")}
        {area("capsules", "Only these capsules", "any")}
        {area("deniedCapsules", "Never these capsules", "none is shut out")}
        {area("tokens", "Tokens accepted besides ETH", "none")}
      </SimpleGrid>
      <Text size="sm" className="om-muted" mt="xs">
        Addresses, one a line. A capsule is a third party that holds the keys of campaigns, scores gradients and sees them decrypted.
      </Text>
    </Lines>
  );
}

function Times({ form, faults, onChange }: Part) {
  return (
    <Lines title="Training happens">
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        <TextInput
          label="At these hours"
          description="Such as 22:00-06:00; empty: always"
          inputWrapperOrder={UNDER}
          placeholder="always"
          value={form.hours}
          error={sentence(faults.hours)}
          onChange={(event) => onChange({ hours: event.currentTarget.value })}
        />
        <NativeSelect
          label="Of the time zone"
          description="Where the hours are counted"
          inputWrapperOrder={UNDER}
          data={zones(form.timezone)}
          value={form.timezone}
          onChange={(event) => onChange({ timezone: event.currentTarget.value })}
        />
        <TextInput
          label="With at most, in % of one processor"
          description="100: as fast as it can"
          inputWrapperOrder={UNDER}
          inputMode="numeric"
          value={form.cpuPercent}
          error={sentence(faults.cpuPercent)}
          onChange={(event) => onChange({ cpuPercent: event.currentTarget.value })}
        />
      </SimpleGrid>
    </Lines>
  );
}

function zones(current: string): string[] {
  return [...new Set(["UTC", current, Intl.DateTimeFormat().resolvedOptions().timeZone, ...Intl.supportedValuesOf("timeZone")])];
}

function sentence(fault: string | undefined): string | undefined {
  return fault && `${fault[0]?.toUpperCase()}${fault.slice(1)}`;
}
