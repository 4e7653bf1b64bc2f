import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { inferColumns } from "./columns";
import { type Csv, readCsvFile } from "./csv";
import { type Draft, discardDraft, type Earlier, EMPTY, keepFile, keptFile, loadDraft, saveDraft } from "./draft";
import { continueTask, makeTask, type Task } from "./task";

export interface DraftState {
  readonly draft: Draft;
  readonly csv: Csv | undefined;
  readonly reading: boolean;
  /** Why the file cannot be used, naming row and column. */
  readonly fault: unknown;
  readonly task: Task | undefined;
  readonly kept: boolean;
  change(part: Partial<Draft>): void;
  choose(file: File | null): Promise<void>;
  /** Starts from somewhere else; what was opened before is dropped. */
  pickSource(source: string): Promise<void>;
  /** Keeps the model to start from. */
  startFrom(model: Blob, earlier: Earlier): Promise<void>;
  discard(): Promise<void>;
}

/** The draft, its file and what follows from both. What was sealed is dropped when anything changes. */
export function useDraft(): DraftState {
  const [draft, setDraft] = useState(loadDraft);
  const [kept, setKept] = useState(true);
  const [version, setVersion] = useState(0);
  const update = useCallback((change: (old: Draft) => Draft) => {
    setDraft((old) => {
      const next = change(old);
      setKept(saveDraft(next));
      return next;
    });
  }, []);
  const change = useCallback(
    (part: Partial<Draft>) => update((old) => ({ ...old, prepared: undefined, sealing: undefined, ...part })),
    [update],
  );

  const file = useQuery({
    queryKey: ["draft-file", draft.fileName, version],
    enabled: draft.fileName !== "",
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    queryFn: async () => {
      const blob = await keptFile("validation");
      if (!blob) throw new Error("the file is no longer kept in this browser: choose it again");
      return readCsvFile(blob);
    },
  });
  const csv = draft.fileName ? file.data : undefined;
  const { columns, method, published, earlier } = draft;
  const { task, fault } = useMemo(() => tryTask(csv, { columns, method, published, earlier }), [csv, columns, method, published, earlier]);

  const choose = useCallback(
    async (chosen: File | null) => {
      const csv = chosen ? await readCsvFile(chosen) : undefined;
      await keepFile("validation", chosen ?? undefined);
      setVersion((old) => old + 1);
      update((old) => ({
        ...old,
        prepared: undefined,
        fileName: chosen?.name ?? "",
        columns: csv ? inferColumns(csv, old.published) : [],
      }));
    },
    [update],
  );
  const pickSource = useCallback(
    async (source: string) => {
      change({ source, earlier: undefined });
      await keepFile("weights", undefined);
    },
    [change],
  );
  const startFrom = useCallback(
    async (model: Blob, earlier: Earlier) => {
      await keepFile("weights", model);
      change({ earlier });
    },
    [change],
  );
  const discard = useCallback(async () => {
    await discardDraft();
    setDraft(EMPTY);
  }, []);
  return {
    draft,
    csv,
    reading: file.isFetching,
    fault: fault ?? (draft.fileName ? file.error : undefined),
    task,
    kept,
    change,
    choose,
    pickSource,
    startFrom,
    discard,
  };
}

function tryTask(
  csv: Csv | undefined,
  draft: Pick<Draft, "columns" | "method" | "published" | "earlier">,
): { task: Task | undefined; fault: unknown } {
  if (!csv || draft.columns.length === 0) return { task: undefined, fault: undefined };
  try {
    const { columns, method, published, earlier } = draft;
    const task = earlier ? continueTask(csv, earlier) : makeTask(csv, columns, method, published);
    return { task, fault: undefined };
  } catch (fault) {
    return { task: undefined, fault };
  }
}
