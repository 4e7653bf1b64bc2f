import { FileInput, Group, NativeSelect, Text } from "@mantine/core";
import { formatCount } from "@openmined/shared/format";
import { publishedSchemas } from "@openmined/shared/protocol";
import { Failure } from "@openmined/shared/ui";
import { useState } from "react";
import { ColumnTable } from "./ColumnTable";
import { inferColumns } from "./columns";
import { Section } from "./Section";
import type { DraftState } from "./useDraft";

const SCHEMAS = [
  { value: "", label: "My own: as drawn below" },
  ...publishedSchemas.map((schema) => ({ value: schema.id, label: `${schema.title} (${schema.id})` })),
];

export function DataSection({ state }: { state: DraftState }) {
  const { draft, csv, change } = state;
  const [failed, setFailed] = useState<unknown>();
  const choose = (file: File | null) => {
    setFailed(undefined);
    state.choose(file).catch(setFailed);
  };
  const pick = (published: string) => change({ published, columns: csv ? inferColumns(csv, published) : [] });
  const fault = failed ?? state.fault;
  return (
    <Section
      number={2}
      title="Validation rows and schema"
      text="Rows like those that mines hold, with the right answers. Capsule measures accuracy on them; no mine ever sees them."
    >
      <Group grow align="start" preventGrowOverflow={false}>
        <FileInput
          label="Validation file"
          description="CSV with a header, UTF-8, at most 64 MiB"
          placeholder={draft.fileName || "Choose a file"}
          accept=".csv,text/csv"
          required
          style={{ flex: "1 1 16rem" }}
          onChange={choose}
          fileInputProps={{ "aria-label": "Validation file" }}
        />
        <NativeSelect
          label="Schema"
          description="Mines find campaigns by the schema of their data"
          data={SCHEMAS}
          value={draft.published}
          style={{ flex: "1 1 16rem" }}
          onChange={(event) => pick(event.currentTarget.value)}
        />
      </Group>
      {csv && (
        <Text size="sm" role="status">
          {draft.fileName}: {formatCount(csv.rows.length)} rows, {formatCount(csv.header.length)} columns. The file is kept in this browser
          until you launch or discard.
        </Text>
      )}
      {fault !== undefined && fault !== null && <Failure error={fault} />}
      {csv && !draft.earlier && <ColumnTable csv={csv} columns={draft.columns} onChange={(columns) => change({ columns })} />}
    </Section>
  );
}
