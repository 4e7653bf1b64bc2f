import { Button, Group, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { formatBytes, formatCount } from "@openmined/shared/format";
import { publishedSchemas } from "@openmined/shared/protocol";
import { Failure, Loaded, Refusal, ServiceError } from "@openmined/shared/ui";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ask, type ImportState, type TableSchema, useChange, useDatasets } from "../../shared/api";
import { Section } from "../../shared/Page";
import { Columns } from "./Columns";
import { PreviewTable } from "./PreviewTable";
import { type Draft, droppedColumns, isTable, mappingOf, nameFault, type Preview, sourceOf } from "./plan";
import { Reader } from "./Reader";

interface Props {
  draft: Draft;
  onChange: (draft: Draft) => void;
  startOver: () => void;
}

/** The mine reads the first rows: what it is, what would be kept, what dropped, what does not fit. */
export function Look({ draft, onChange, startOver }: Props) {
  const source = sourceOf(draft);
  const found = usePreview(source);
  return (
    <Stack gap="xl">
      <Section title="What it is">
        <Stack gap="sm">
          <Text className="om-breaks">
            {draft.name}
            {draft.bytes > 0 && <span className="om-muted">, {formatBytes(draft.bytes)}</span>}
          </Text>
          <Reader draft={draft} found={found.data} onChange={onChange} />
        </Stack>
      </Section>
      {found.isError ? (
        <Unread error={found.error} retry={() => void found.refetch()} startOver={startOver} />
      ) : (
        <Loaded query={found}>{(preview) => <Choices draft={draft} found={preview} onChange={onChange} />}</Loaded>
      )}
    </Stack>
  );
}

function Unread({ error, retry, startOver }: { error: unknown; retry: () => void; startOver: () => void }) {
  const gone = error instanceof ServiceError && error.detail.includes("no such upload");
  return (
    <Stack gap="sm" align="start">
      <Failure
        error={worded(error, gone ? "The mine has forgotten the file" : "The file cannot be read")}
        retry={gone ? undefined : retry}
      />
      {gone && <Button onClick={startOver}>Send it again</Button>}
    </Stack>
  );
}

function Choices({ draft, found, onChange }: { draft: Draft; found: Preview; onChange: (draft: Draft) => void }) {
  const mapping = mappingOf(draft, found);
  const kept = usePreview({ ...sourceOf(draft), ...(mapping && { mapping }) });
  const wanted = publishedSchemas.find((schema) => schema.id === draft.published) as TableSchema | undefined;
  const dropped = droppedColumns(draft, found, wanted);
  const nothing = dropped.length === found.table_schema.fields.length;
  return (
    <>
      {isTable(found.adapter) && <Columns draft={draft} found={found} wanted={wanted} onChange={onChange} />}
      <Section title="What will be kept">
        <Text size="sm" role="status" mb="sm" className="om-breaks">
          {dropped.length > 0
            ? `Will be dropped: ${dropped.join(", ")}.`
            : isTable(found.adapter)
              ? "Every column is kept."
              : "Of the archive only these fields are kept; all else in it is dropped."}
        </Text>
        {nothing ? (
          <Failure error={new Refusal("Nothing would be kept", "Keep at least one column.")} />
        ) : kept.isError ? (
          <Failure error={worded(kept.error, "It does not fit")} />
        ) : (
          <Loaded query={kept}>{(preview) => <PreviewTable preview={preview} />}</Loaded>
        )}
      </Section>
      <Begin draft={draft} mapping={mapping} disabled={nothing || !kept.isSuccess || kept.data.rows.length === 0} onChange={onChange} />
    </>
  );
}

function Begin({
  draft,
  mapping,
  disabled,
  onChange,
}: {
  draft: Draft;
  mapping: Record<string, unknown> | undefined;
  disabled: boolean;
  onChange: (draft: Draft) => void;
}) {
  const datasets = useDatasets().data ?? [];
  const known = datasets.find((dataset) => dataset.name === draft.dataset);
  const fault = nameFault(draft.dataset);
  const start = useChange(
    () =>
      ask<ImportState>("POST", "/imports", {
        ...sourceOf(draft),
        ...(mapping && { mapping }),
        dataset: draft.dataset,
        strict: draft.strict,
      }),
    (state) => onChange({ ...draft, stage: "importing", id: state.id }),
  );
  return (
    <Section title="Import">
      <Stack gap="sm" align="start">
        <TextInput
          label="Name of the dataset"
          description={
            known
              ? `Adds to ${known.name}, which has ${formatCount(known.rows)} rows: rows that are there already are not added twice`
              : "A new dataset; campaigns never see this name"
          }
          value={draft.dataset}
          error={fault}
          maxLength={64}
          list="datasets"
          w={{ base: "100%", sm: 420 }}
          onChange={(event) => onChange({ ...draft, dataset: event.currentTarget.value })}
        />
        <datalist id="datasets">
          {datasets.map((dataset) => (
            <option key={dataset.name} value={dataset.name} />
          ))}
        </datalist>
        <NativeSelect
          label="A row that does not fit"
          w={{ base: "100%", sm: 420 }}
          data={[
            { value: "", label: "is left out, and named" },
            { value: "strict", label: "stops the import: nothing is kept" },
          ]}
          value={draft.strict ? "strict" : ""}
          onChange={(event) => onChange({ ...draft, strict: event.currentTarget.value === "strict" })}
        />
        {start.isError && <Failure error={worded(start.error, "The import did not begin")} />}
        <Group>
          <Button disabled={disabled || fault !== undefined} loading={start.isPending} onClick={() => start.mutate(undefined)}>
            Import
          </Button>
        </Group>
      </Stack>
    </Section>
  );
}

function usePreview(body: object) {
  return useQuery({
    queryKey: ["preview", body],
    queryFn: () => ask<Preview>("POST", "/imports/preview", body),
    placeholderData: keepPreviousData,
    refetchOnWindowFocus: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The mine's own words for what it refused, under a title that says what that means here. */
function worded(error: unknown, title: string): unknown {
  return error instanceof ServiceError && error.status === 422 ? new Refusal(title, `${error.detail.slice(0, 600)}.`) : error;
}
