import { NativeSelect, SimpleGrid, TextInput } from "@mantine/core";
import { formatPpm } from "@openmined/shared/format";
import { EarlierModel } from "./EarlierModel";
import type { Problems } from "./plan";
import { Section } from "./Section";
import { METHODS, type Method } from "./task";
import type { DraftState } from "./useDraft";

export function MethodSection({ state, problems }: { state: DraftState; problems: Problems }) {
  const { draft, change, task } = state;
  const begins = task ? `It begins with ${formatPpm(task.startPpm)} on these rows` : "Known when the rows are read";
  const tolerance = task ? `${task.tolerancePpm / 10_000} points` : "a little";
  return (
    <Section
      number={3}
      title="How it is learned"
      text="Every method trains on encrypted weights. Automatic takes a kernel for numbers, and word pairs for text."
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <NativeSelect
          label="Algorithm"
          data={[...METHODS]}
          value={draft.method}
          disabled={draft.earlier !== undefined}
          description={draft.earlier ? "That of the model it starts from" : undefined}
          inputWrapperOrder={["label", "input", "description", "error"]}
          onChange={(event) => change({ method: event.currentTarget.value as Method })}
        />
        <TextInput
          label={task?.metric === "r2" ? "Wanted R², in %" : "Wanted accuracy, in %"}
          description={begins}
          inputWrapperOrder={["label", "input", "description", "error"]}
          required
          inputMode="decimal"
          value={draft.target}
          error={problems.target}
          onChange={(event) => change({ target: event.currentTarget.value })}
        />
        <TextInput
          label="Claimed accuracy, in %"
          description={`Capsule measures it, and refuses the campaign when it differs by more than ${tolerance}`}
          inputWrapperOrder={["label", "input", "description", "error"]}
          inputMode="decimal"
          placeholder={task ? (task.startPpm / 10_000).toString() : ""}
          value={draft.claimed}
          error={problems.claimed}
          onChange={(event) => change({ claimed: event.currentTarget.value })}
        />
      </SimpleGrid>
      <EarlierModel state={state} problem={problems.source} />
    </Section>
  );
}
