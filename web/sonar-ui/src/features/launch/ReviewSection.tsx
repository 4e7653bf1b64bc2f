import { Button, Group, Loader, Stack, Table, Text } from "@mantine/core";
import { formatAmount, formatBytes, formatDuration, formatPpm, type Token } from "@openmined/shared/format";
import { Hash } from "@openmined/shared/ui";
import { useQuery } from "@tanstack/react-query";
import type { Hex } from "viem";
import { readNetwork } from "../../shared/api";
import { TransactionStatus } from "../../shared/wallet/TransactionStatus";
import { WalletChoice } from "../../shared/wallet/WalletButton";
import type { Wallet } from "../../shared/wallet/WalletProvider";
import type { Draft } from "./draft";
import type { Plan, Problems } from "./plan";
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
      {plan && task && <Quote {...props} plan={plan} task={task} />}
      {!plan && <Missing problems={props.problems} hasRows={task !== undefined} />}
      {!wallet && <WalletChoice />}
      {wallet && draft.hash && !launching.busy && (
        <Stack gap="xs">
          <Text size="sm" component="div">
            A launch was sent before this page was loaded: <Hash text={draft.hash} label="the transaction's hash" />
          </Text>
          <Button onClick={() => launching.resume.mutate(draft.hash as Hex)}>Go on following it</Button>
        </Stack>
      )}
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

const NAMES: Readonly<Record<string, string>> = {
  title: "a title",
  target: "the accuracy you want",
  bounty: "a bounty",
  certificate: "your key",
  days: "the deadline",
  graceDays: "the time to deliver",
  maxGradients: "the number of gradients",
  claimed: "the claimed accuracy",
};

function Missing({ problems, hasRows }: { problems: Problems; hasRows: boolean }) {
  const named = Object.keys(problems).map((field) => NAMES[field] ?? field);
  const all = hasRows ? named : ["validation rows", ...named];
  return <Text size="sm">Still to be settled: {all.join(", ")}.</Text>;
}

function Quote({ plan, task, token, wallet }: Props & { plan: Plan; task: Task }) {
  const fee = useQuery({
    queryKey: ["quote", wallet?.account, wallet?.chainId, plan.token, String(plan.bounty)],
    enabled: wallet !== undefined,
    retry: false,
    queryFn: async () => {
      const [{ quoteLaunch }, network] = await Promise.all([import("./send"), readNetwork()]);
      if (!wallet || wallet.chainId !== network.chain_id) return "after the wallet has switched the network";
      return `about ${formatAmount(await quoteLaunch(network, wallet, plan))}`;
    },
  });
  const network = !wallet
    ? "when a wallet is connected"
    : (fee.data ?? (fee.isError ? "unknown: the wallet cannot pay this, or its node does not tell" : "being asked for"));
  const rows: readonly (readonly [string, string])[] = [
    ["You deposit", formatAmount(plan.bounty, token, 18)],
    ["of which mines can earn", formatAmount(plan.bounty - plan.fee, token, 18)],
    ["and Capsule on delivery", formatAmount(plan.fee, token, 18)],
    ["A point of accuracy pays", formatAmount(((plan.bounty - plan.fee) * 10_000n) / BigInt(plan.targetPpm), token)],
    ["The network takes", network],
    ["Accuracy", `from ${formatPpm(plan.startPpm)} to ${formatPpm(plan.targetPpm)}, steps of at least ${formatPpm(plan.stepPpm, 2)}`],
    ["Open for", `${formatDuration(plan.durationS)}, then ${formatDuration(plan.graceS)} to deliver`],
    ["Uploaded, encrypted", `${task.rows} rows, ${formatBytes(task.validation.length)}`],
  ];
  return (
    <Table variant="vertical" layout="fixed" verticalSpacing={6}>
      <Table.Tbody>
        {rows.map(([name, value]) => (
          <Table.Tr key={name}>
            <Table.Th w={{ base: 150, sm: 260 }} fw={400} className="om-muted" style={{ background: "none" }}>
              {name}
            </Table.Th>
            <Table.Td className="om-breaks">{value}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
