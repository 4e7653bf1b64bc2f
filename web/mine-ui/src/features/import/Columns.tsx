import { Checkbox, NativeSelect, Stack, Table } from "@mantine/core";
import { publishedSchemas } from "@openmined/shared/protocol";
import type { SchemaField, TableSchema } from "../../shared/api";
import { Section } from "../../shared/Page";
import { type Draft, EMPTY, type Preview, shownValue, TYPE_WORDS, TYPES } from "./plan";

interface Props {
  draft: Draft;
  found: Preview;
  wanted: TableSchema | undefined;
  onChange: (draft: Draft) => void;
}

const SCHEMAS = [
  { value: "", label: "My own: the columns as they are" },
  ...publishedSchemas.map((schema) => ({ value: schema.id, label: `${schema.title} (${schema.id})` })),
];

/** Which columns are kept, and as what. */
export function Columns({ draft, found, wanted, onChange }: Props) {
  return (
    <Section
      title="Columns"
      text="Keep what campaigns may learn from, and leave out names, addresses and whatever no model needs. A column has to be of the type that campaigns ask for."
    >
      <Stack gap="md">
        <NativeSelect
          label="Schema"
          description="Campaigns that ask for a published schema find your rows by it"
          data={SCHEMAS}
          value={draft.published}
          w={{ base: "100%", sm: 420 }}
          onChange={(event) =>
            onChange({ ...draft, published: event.currentTarget.value, sources: {}, dropped: EMPTY.dropped, types: EMPTY.types })
          }
        />
        {wanted ? (
          <Fields draft={draft} found={found} wanted={wanted} onChange={onChange} />
        ) : (
          <Own draft={draft} found={found} wanted={wanted} onChange={onChange} />
        )}
      </Stack>
    </Section>
  );
}

function Own({ draft, found, onChange }: Props) {
  const keep = (name: string, kept: boolean) =>
    onChange({ ...draft, dropped: kept ? draft.dropped.filter((other) => other !== name) : [...draft.dropped, name] });
  return (
    <Table.ScrollContainer minWidth={520} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Columns, scrollable" } }}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={60}>Keep</Table.Th>
            <Table.Th>Column</Table.Th>
            <Table.Th miw={150}>Type</Table.Th>
            <Table.Th>First row</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody className="preview">
          {found.table_schema.fields.map((field) => {
            const kept = !draft.dropped.includes(field.name);
            return (
              <Table.Tr key={field.name}>
                <Table.Td>
                  <Checkbox
                    aria-label={`Keep ${field.name}`}
                    checked={kept}
                    onChange={(event) => keep(field.name, event.currentTarget.checked)}
                  />
                </Table.Td>
                <Table.Td>{field.name}</Table.Td>
                <Table.Td>
                  <TypeSelect
                    field={field}
                    type={draft.types[field.name] ?? field.type}
                    disabled={!kept}
                    onChange={(type) => onChange({ ...draft, types: { ...draft.types, [field.name]: type } })}
                  />
                </Table.Td>
                <Table.Td className="om-muted">{shownValue(found.rows[0]?.[field.name])}</Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function TypeSelect({
  field,
  type,
  disabled,
  onChange,
}: {
  field: SchemaField;
  type: SchemaField["type"];
  disabled: boolean;
  onChange: (type: SchemaField["type"]) => void;
}) {
  const types = field.type === "array" ? (["array", "string"] as const) : TYPES;
  const length = field.constraints?.maxLength;
  const label = (name: SchemaField["type"]) => (name === "array" && length ? `${length} numbers` : TYPE_WORDS[name]);
  return (
    <NativeSelect
      size="xs"
      aria-label={`Type of ${field.name}`}
      disabled={disabled}
      data={types.map((name) => ({ value: name, label: label(name) }))}
      value={type}
      onChange={(event) => onChange(event.currentTarget.value as SchemaField["type"])}
    />
  );
}

function Fields({ draft, found, wanted, onChange }: Props) {
  const columns = found.table_schema.fields.map((field) => field.name);
  return (
    <Table.ScrollContainer minWidth={360} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Fields, scrollable" } }}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Field</Table.Th>
            <Table.Th>Type</Table.Th>
            <Table.Th miw={150}>From the column</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {wanted?.fields.map((field) => (
            <Table.Tr key={field.name}>
              <Table.Td>
                {field.name}
                {field.constraints?.required && <span className="om-muted"> (required)</span>}
              </Table.Td>
              <Table.Td>{TYPE_WORDS[field.type]}</Table.Td>
              <Table.Td>
                <NativeSelect
                  size="xs"
                  aria-label={`Column for ${field.name}`}
                  data={[{ value: "", label: "none: left empty" }, ...columns]}
                  value={draft.sources[field.name] ?? (columns.includes(field.name) ? field.name : "")}
                  onChange={(event) => onChange({ ...draft, sources: { ...draft.sources, [field.name]: event.currentTarget.value } })}
                />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
