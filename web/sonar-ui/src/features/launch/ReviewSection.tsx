import { Button, Group, Loader, Stack, Text } from "@mantine/core";
import type { Token } from "@openmined/shared/format";
import type { Hex } from "viem";
import { Transaction, TransactionStatus } from "../../shared/wallet/TransactionStatus";
import { WalletChoice } from "../../shared/wallet/WalletButton";
import type { Wallet } from "../../shared/wallet/WalletProvider";
import type { Draft } from "./draft";
import type { Plan, Problems } from "./plan";
import { Quote } from "./Quote";
import { Section } from "./Section";
import type { Task } from "./task";
import type { useLaunch } from "./useLaunch";

interface Props {
  readonly draft: Draft;
  readonly plan: Plan | undefined;
  readonly task: Task | undefined;
  readonly problems: Problems;
  readonly token: Token;
  readonly wallet: Wallet | undefined;
  readonly launching: ReturnType<typeof useLaunch>;
  onTried(): void;
}

export function ReviewSection(props: Props) {
  const { draft, plan, task, launching, wallet } = props;
  const start = () => {
    props.onTried();
    if (plan && task) launching.launch.mutate({ plan, task });
  };
  return (
    <Section number={6} title="Cost and launch" text="Nothing is sent before you sign in your wallet.">
      {plan && task && <Quote plan={plan} task={task} token={props.token} wallet={wallet} />}
      {!plan && <Missing problems={props.problems} hasRows={task !== undefined} />}
      {!wallet && (
        <>
          <Text size="sm">Connect a wallet: it pays, and signs the launch.</Text>
          <WalletChoice />
        </>
      )}
      {wallet && draft.hash && !launching.busy && (
        <Stack gap="xs">
          <Text size="sm" component="div">
            A launch was sent before this page was loaded: <Transaction hash={draft.hash} />
          </Text>
          <Button onClick={() => launching.resume.mutate(draft.hash as Hex)}>Go on following it</Button>
        </Stack>
      )}
      {!draft.hash && !launching.busy && <Standing draft={draft} />}
      {wallet && !draft.hash && (
        <Group>
          <Button size="md" loading={launching.busy} disabled={!plan} onClick={start}>
            Launch the campaign
          </Button>
        </Group>
      )}
      {launching.progress === "sealing" ? (
        <Group gap="sm" role="status">
          <Loader size="xs" aria-hidden />
          <Text size="sm">Sealing your rows to Capsule and uploading them.</Text>
        </Group>
      ) : (
        <TransactionStatus progress={launching.progress} error={launching.error} />
      )}
    </Section>
  );
}

/** How far a launch came that an earlier visit began. */
function Standing({ draft }: { draft: Draft }) {
  const said = standingOf(draft);
  if (!said) return null;
  return (
    <Text size="sm" role="status" component="div">
      {said} {draft.allowance && <Transaction hash={draft.allowance} />}
    </Text>
  );
}

function standingOf({ sealing, allowance, prepared }: Draft): string | undefined {
  if (sealing) return "The page was left while your rows were being uploaded. Nothing was signed or paid: launch again.";
  if (allowance) return "You have let the contract take the tokens, and nothing is deposited yet. Launching goes on from there:";
  if (prepared) return "Your rows are sealed and uploaded, and nothing is deposited yet. Launching goes on from there.";
  return undefined;
}

const NAMES: Readonly<Record<string, string>> = {
  title: "a title",
  target: "the accuracy you want",
  token: "the token",
  bounty: "a bounty",
  fee: "Capsule’s fee",
  bond: "the bond",
  step: "the smallest gain",
  epsilon: "ε",
  description: "the description",
  certificate: "your key",
  days: "the deadline",
  graceDays: "the time to deliver",
  maxGradients: "the number of gradients",
  claimed: "the claimed accuracy",
  source: "the model it starts from",
};

function Missing({ problems, hasRows }: { problems: Problems; hasRows: boolean }) {
  const named = Object.keys(problems).map((field) => NAMES[field] ?? field);
  const all = hasRows ? named : ["validation rows", ...named];
  return <Text size="sm">Still to be settled: {all.join(", ")}.</Text>;
}
