import { formatAmount, formatBytes, formatDuration, formatPpm, type Token } from "@openmined/shared/format";
import { explain } from "@openmined/shared/ui";
import { useQuery } from "@tanstack/react-query";
import { readNetwork } from "../../shared/api";
import { FactsTable } from "../../shared/FactsTable";
import type { Wallet } from "../../shared/wallet/WalletProvider";
import type { Plan } from "./plan";
import type { Task } from "./task";

interface Props {
  readonly plan: Plan;
  readonly task: Task;
  readonly token: Token;
  readonly wallet: Wallet | undefined;
}

/** What a launch costs and what it promises, before anything is signed. */
export function Quote({ plan, task, token, wallet }: Props) {
  const { holds, network, signatures } = useCost(plan, token, wallet);
  const rows: readonly (readonly [string, string])[] = [
    ["You deposit", formatAmount(plan.bounty, token, 18)],
    ["of which mines can earn", formatAmount(plan.bounty - plan.fee, token, 18)],
    ["and Capsule on delivery", formatAmount(plan.fee, token, 18)],
    ...(holds ? ([["You hold", holds]] as const) : []),
    ["A point of accuracy pays", formatAmount(((plan.bounty - plan.fee) * 10_000n) / BigInt(plan.targetPpm), token)],
    ["The network takes", network],
    ...(signatures ? ([["You sign", signatures]] as const) : []),
    ["Accuracy", `from ${formatPpm(plan.startPpm)} to ${formatPpm(plan.targetPpm)}, steps of at least ${formatPpm(plan.stepPpm, 2)}`],
    ["Open for", `${formatDuration(plan.durationS)}, then ${formatDuration(plan.graceS)} to deliver`],
    ["Uploaded, encrypted", `${task.rows} rows, ${formatBytes(task.validation.length)}`],
  ];
  return <FactsTable rows={rows} />;
}

/** What the account holds and what the network takes, as the wallet's own node estimates it. */
function useCost(plan: Plan, token: Token, wallet: Wallet | undefined): { holds?: string; network: string; signatures?: string } {
  const asked = useQuery({
    queryKey: ["quote", wallet?.account, wallet?.chainId, plan.token, String(plan.bounty)],
    enabled: wallet !== undefined,
    retry: false,
    queryFn: async () => {
      const [{ quoteLaunch }, network] = await Promise.all([import("./send"), readNetwork()]);
      return wallet && wallet.chainId === network.chain_id ? quoteLaunch(network, wallet, plan) : null;
    },
  });
  if (!wallet) return { network: "known when a wallet is connected" };
  if (asked.data === null) return { network: "known when the wallet has switched the network" };
  if (asked.isError) return { network: `unknown. ${explain(asked.error).title}` };
  if (!asked.data) return { network: "the wallet’s node is being asked" };
  const { holds, allowing, fee, ether } = asked.data;
  if (holds < plan.bounty) return { holds: `${formatAmount(holds, token)}: too little`, network: "nothing: this cannot be paid" };
  const poor = ether < (allowing ?? 0n) + (fee ?? 0n) ? `; the account has ${formatAmount(ether)}: too little` : "";
  if (allowing === undefined) return { holds: formatAmount(holds, token), network: `about ${formatAmount(fee ?? 0n)}${poor}` };
  const launch =
    fee === undefined ? "then the launch, which the wallet quotes before you sign" : `and about ${formatAmount(fee)} for the launch`;
  return {
    holds: formatAmount(holds, token),
    network: `about ${formatAmount(allowing)} for letting the contract take the tokens, ${launch}${poor}`,
    signatures: "twice: that the contract may take these tokens and no more, and the launch",
  };
}
