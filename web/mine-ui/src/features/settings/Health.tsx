import { SimpleGrid, Stack, Text } from "@mantine/core";
import { Empty, Figure, Hash, useNow, When } from "@openmined/shared/ui";
import { useDecisions, useStatus } from "../../shared/api";
import { useLive } from "../../shared/live";
import { clip, readable, seconds, waitsForSomething } from "../../shared/words";

const A_DAY = 86_400;

/** Whether the mine works: its loop, its log, and what went wrong lately. */
export function Health() {
  const status = useStatus().data;
  const { connected, lines } = useLive();
  const now = useNow();
  const last = lines.at(-1);
  const problems = lines.filter((line) => line.step === "problem" && now - seconds(line.at) < A_DAY).slice(-5);
  const waits = (useDecisions().data ?? []).filter(waitsForSomething).slice(0, 5);
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="lg">
        <Figure label="The mine" note={status?.network}>
          {status === undefined ? "…" : status.running ? "runs" : "is stopped"}
        </Figure>
        <Figure
          label="This page"
          note={
            last && (
              <>
                last news <When at={seconds(last.at)} />
              </>
            )
          }
        >
          {connected ? "is up to date" : "is not connected"}
        </Figure>
        <Figure label="Problems" note="in the last day">
          {problems.length}
        </Figure>
        <Figure label="Account">{status ? <Hash text={status.address} label="the mine’s address" /> : "…"}</Figure>
      </SimpleGrid>
      {problems.length === 0 && waits.length === 0 && <Empty title="Nothing is wrong">What fails or has to wait is named here.</Empty>}
      {waits.map((decision) => (
        <Text key={decision.id} size="sm" className="om-breaks">
          Campaign {decision.campaign} waits: {decision.causes.map((cause) => readable(cause.text)).join("; ")}
        </Text>
      ))}
      {problems.map((line, at) => (
        <Text key={at} size="sm" className="om-breaks" component="div">
          <When at={seconds(line.at)} />: {clip(String(line.text ?? ""), 400)}
        </Text>
      ))}
    </Stack>
  );
}
