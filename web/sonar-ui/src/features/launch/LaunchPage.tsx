import { Alert, Button, Group, Stack, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { explain } from "@openmined/shared/ui";
import { useMemo, useState } from "react";
import { useLocation } from "wouter";
import { useTokenState } from "../../shared/amounts";
import { useWallet } from "../../shared/wallet/WalletProvider";
import { DataSection } from "./DataSection";
import { KeySection } from "./KeySection";
import { MethodSection } from "./MethodSection";
import { MoneySection } from "./MoneySection";
import { ETH_ADDRESS, makePlan } from "./plan";
import { ReviewSection } from "./ReviewSection";
import { Section } from "./Section";
import { useDraft } from "./useDraft";
import { useLaunch } from "./useLaunch";

export default function LaunchPage() {
  useDocumentTitle("Launch a campaign · Sonar");
  const state = useDraft();
  const { draft, change, task } = state;
  const [, go] = useLocation();
  const { wallet } = useWallet();
  const [tried, setTried] = useState(false);
  const asked = useTokenState(/^0x[0-9a-fA-F]{40}$/.test(draft.token) ? draft.token : ETH_ADDRESS);
  const tokenFault = faultOf(asked);
  const { token } = asked;
  const { plan, problems } = useMemo(() => makePlan(draft, task, token, tokenFault), [draft, task, token, tokenFault]);
  const launching = useLaunch(draft, change, (campaign) => go(`/campaigns/${campaign}`));
  const shown = tried ? problems : onlyEntered(problems, draft);
  return (
    <Stack gap="xl" maw={860}>
      <Group justify="space-between" align="start" gap="md">
        <div style={{ flex: "1 1 18rem" }}>
          <Title order={1}>Launch a campaign</Title>
          <Text className="om-muted">
            Say what shall be learned and what it is worth. Your rows leave this browser encrypted to Capsule only.
          </Text>
        </div>
        <Button variant="default" size="xs" style={{ flexShrink: 0 }} disabled={launching.busy} onClick={() => void state.discard()}>
          Discard the draft
        </Button>
      </Group>
      {!state.kept && (
        <Alert color="yellow" variant="light" title="This draft is not kept">
          The browser has no room for it: do not reload before you have launched.
        </Alert>
      )}
      <fieldset disabled={launching.busy || Boolean(draft.hash)} style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}>
        <Stack gap="xl">
          <Section number={1} title="What it is about" text="Mine owners read this before they take part.">
            <TextInput
              label="Title"
              required
              value={draft.title}
              maxLength={200}
              error={shown.title}
              onChange={(event) => change({ title: event.currentTarget.value })}
            />
            <Textarea
              label="Description"
              autosize
              minRows={2}
              value={draft.description}
              maxLength={4096}
              error={shown.description}
              onChange={(event) => change({ description: event.currentTarget.value })}
            />
          </Section>
          <DataSection state={state} />
          <MethodSection state={state} problems={shown} />
          <MoneySection draft={draft} change={change} task={task} token={token} divides={asked.divides} problems={shown} />
          <KeySection certificate={draft.certificate} problem={shown.certificate} onChange={(certificate) => change({ certificate })} />
        </Stack>
      </fieldset>
      <ReviewSection
        draft={draft}
        plan={plan}
        task={task}
        problems={problems}
        token={token}
        wallet={wallet}
        launching={launching}
        onTried={() => setTried(true)}
      />
    </Stack>
  );
}

/** Why a token cannot be used, or not yet. */
function faultOf({ known, error }: ReturnType<typeof useTokenState>): string | undefined {
  if (known) return undefined;
  if (error === null) return "being asked on the chain for its decimals";
  const said = explain(error);
  return `${said.title}. ${said.advice}`;
}

/** Problems of fields that were filled in; empty ones are named when the launch is tried. */
function onlyEntered(problems: ReturnType<typeof makePlan>["problems"], draft: object): typeof problems {
  const entered = Object.entries(problems).filter(([field]) => Boolean((draft as Record<string, unknown>)[field]));
  return Object.fromEntries(entered);
}
