import { Alert, Button, Group, Progress, Stack, Text } from "@mantine/core";
import { formatCount } from "@openmined/shared/format";
import { Failure, Loaded, Refusal, ServiceError } from "@openmined/shared/ui";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link } from "wouter";
import { ask, type ImportState } from "../../shared/api";
import { forgetDraft } from "../../shared/draft";
import { clip, count } from "../../shared/words";
import { Problems } from "./PreviewTable";
import type { Draft } from "./plan";

/** An import under way, and what it brought. */
export function Running({ draft, startOver }: { draft: Draft; startOver: () => void }) {
  const queries = useQueryClient();
  const query = useQuery({
    queryKey: ["import", draft.id],
    queryFn: () => ask<ImportState>("GET", `/imports/${draft.id}`),
    refetchInterval: (found) => (found.state.data?.state === "running" || !found.state.data ? 500 : false),
  });
  const state = query.data?.state;
  useEffect(() => {
    if (state !== "done") return;
    forgetDraft("import");
    void queries.invalidateQueries({ queryKey: ["mine"] });
  }, [state, queries]);
  const forgotten = query.error instanceof ServiceError && query.error.status === 404;
  if (forgotten) return <Forgotten name={draft.dataset} startOver={startOver} />;
  return <Loaded query={query}>{(found) => <State state={found} draft={draft} startOver={startOver} />}</Loaded>;
}

function State({ state, draft, startOver }: { state: ImportState; draft: Draft; startOver: () => void }) {
  const problems = (
    <Problems
      title={`${count(state.problems ?? 0, "record")} could not be read, and ${state.problems === 1 ? "was" : "were"} left out`}
      lines={state.first_problems ?? []}
    />
  );
  if (state.state === "running") {
    return (
      <Stack gap="sm">
        <Text role="status" className="om-breaks">
          Importing {draft.name} into {state.dataset}: {formatCount(state.rows_read ?? 0)} rows so far
        </Text>
        <Progress value={100} animated aria-label="The import is under way" />
        <Text size="sm" className="om-muted">
          You can leave this page; the import goes on.
        </Text>
      </Stack>
    );
  }
  if (state.state === "failed") {
    return (
      <Stack gap="md" align="start">
        <Failure error={new Refusal("Nothing was imported", clip(state.message ?? "", 1000) || "No reason was given.")} />
        <Button onClick={startOver}>Choose another file</Button>
      </Stack>
    );
  }
  return (
    <Stack gap="md">
      <Alert color="teal" variant="light" role="status" title={`${count(state.rows_added ?? 0, "row")} imported into ${state.dataset}`}>
        It has {count(state.total ?? 0, "row")} now.
        {(state.rows_known ?? 0) > 0 &&
          ` ${count(state.rows_known ?? 0, "row")} of the file ${state.rows_known === 1 ? "was" : "were"} there already.`}{" "}
        No campaign may use them before you permit it.
      </Alert>
      {problems}
      <Group>
        <Button component={Link} href={`/permissions/${state.dataset}`}>
          Set permissions
        </Button>
        <Button component={Link} href={`/data/${state.dataset}`} variant="default">
          See the dataset
        </Button>
        <Button variant="default" onClick={startOver}>
          Import another file
        </Button>
      </Group>
    </Stack>
  );
}

function Forgotten({ name, startOver }: { name: string; startOver: () => void }) {
  return (
    <Stack gap="md" align="start">
      <Failure
        error={
          new Refusal(
            "The mine was restarted in the meantime",
            `See under Data whether ${name} has its rows. If not, import the file again: nothing is added twice.`,
          )
        }
      />
      <Group>
        <Button component={Link} href="/data" onClick={startOver}>
          Data
        </Button>
        <Button variant="default" onClick={startOver}>
          Import again
        </Button>
      </Group>
    </Stack>
  );
}
