import { NativeSelect, Text } from "@mantine/core";
import type { components } from "@openmined/shared/api/mine";
import { useQuery } from "@tanstack/react-query";
import { ask } from "../../shared/api";
import { type Draft, EMPTY, type Preview } from "./plan";

type Adapter = components["schemas"]["AdapterAnswer"];

/** Which adapter reads the file: the one that recognised it, or the one the owner names. */
export function Reader({ draft, found, onChange }: { draft: Draft; found: Preview | undefined; onChange: (draft: Draft) => void }) {
  const adapters = useQuery({
    queryKey: ["mine", "adapters"],
    queryFn: () => ask<Adapter[]>("GET", "/adapters"),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const automatic = { value: "", label: found && !draft.adapter ? `${found.title} (recognised)` : "By what it looks like" };
  const named = (adapters.data ?? []).map((adapter) => ({ value: adapter.name, label: adapter.title }));
  const { stage, name, bytes, dataset } = draft;
  const place = draft.upload ? { upload: draft.upload } : { path: draft.path ?? "" };
  return (
    <>
      <NativeSelect
        label="Read as"
        data={[automatic, ...named]}
        value={draft.adapter}
        w={{ base: "100%", sm: 420 }}
        onChange={(event) => onChange({ ...EMPTY, stage, name, bytes, dataset, ...place, adapter: event.currentTarget.value })}
      />
      {found?.table_schema.id && (
        <Text size="sm" className="om-muted">
          Rows of the published schema <code>{found.table_schema.id}</code>: campaigns that ask for it can use them.
        </Text>
      )}
    </>
  );
}
