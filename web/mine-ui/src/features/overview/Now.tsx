import { Anchor, Group, Loader, Progress, Stack, Text } from "@mantine/core";
import { Empty, When } from "@openmined/shared/ui";
import { Link } from "wouter";
import { currentWork, recent } from "../../shared/activity";
import { useLive } from "../../shared/live";
import { seconds } from "../../shared/words";
import "../../shared/card.css";

/** What the mine is doing at this moment, with how far it is. */
export function Now() {
  const { connected, lines } = useLive();
  const doing = currentWork(lines);
  return (
    <div className="card">
      <Stack gap="xs">
        <Group gap="sm" wrap="nowrap">
          {doing.busy && <Loader size="xs" aria-hidden="true" />}
          <Text role="status" className="om-breaks">
            {doing.text}
          </Text>
        </Group>
        {doing.part !== undefined && <Progress value={doing.part * 100} aria-label="Progress of the training" />}
        <Group gap="md" display={doing.campaign === undefined && connected ? "none" : undefined}>
          {doing.campaign !== undefined && (
            <Anchor component={Link} href={`/campaigns/${doing.campaign}`} size="sm">
              Campaign {doing.campaign}
            </Anchor>
          )}
          {!connected && (
            <Text size="sm" className="om-muted">
              Connecting to the mine’s log…
            </Text>
          )}
        </Group>
      </Stack>
    </div>
  );
}

export function Recent() {
  const found = recent(useLive().lines, 10);
  if (found.length === 0) return <Empty title="Nothing happened yet">What the mine does is told here as it happens.</Empty>;
  return (
    <Stack gap={6} component="ol" style={{ listStyle: "none", margin: 0, padding: 0 }}>
      {found.map((line, at) => (
        <Group key={`${line.at} ${at}`} component="li" gap="sm" wrap="nowrap" align="baseline">
          <Text size="sm" className="om-muted" component="div" style={{ flex: "0 0 8.5rem" }}>
            <When at={seconds(line.at)} />
          </Text>
          <Text size="sm" className="om-breaks" style={{ minWidth: 0 }}>
            {line.text}
          </Text>
        </Group>
      ))}
    </Stack>
  );
}
