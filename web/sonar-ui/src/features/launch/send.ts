/** The launching transaction, and what the network takes for it. */

import { sonarAbi } from "@openmined/shared/sonar";
import { Refusal } from "@openmined/shared/ui";
import { type Hex, parseEventLogs, type TransactionReceipt } from "viem";
import type { NetworkInfo } from "../../shared/api";
import { placeOf, readerOf } from "../../shared/chain";
import { follow, type OnStage, type Quote, quote, type Request, resumeAllowance, transact } from "../../shared/wallet/transact";
import type { Wallet } from "../../shared/wallet/WalletProvider";
import type { Prepared } from "./draft";
import type { Plan } from "./plan";
import { termsOf } from "./prepare";

/** Launches, unless this very launch is on the chain already: then it is that campaign.
 *
 * An allowance that an earlier visit sent is waited for first, so that none is asked for twice.
 */
export async function launchPrepared(
  network: NetworkInfo,
  wallet: Wallet,
  plan: Plan,
  prepared: Prepared,
  onStage: OnStage,
  allowance: Hex | undefined,
): Promise<bigint> {
  const known = await knownCampaign(network, wallet, prepared);
  if (known) return known;
  if (allowance) await resumeAllowance(network, wallet, allowance, onStage);
  return numberOf(await transact(network, wallet, requestOf(network, plan, prepared), onStage));
}

export async function resumeLaunch(network: NetworkInfo, wallet: Wallet, hash: Hex, onStage: OnStage): Promise<bigint> {
  return numberOf(await follow(network, wallet, hash, onStage));
}

/** What launching takes, tried with an empty manifest: nothing is uploaded for a quote. */
export function quoteLaunch(network: NetworkInfo, wallet: Wallet, plan: Plan): Promise<Quote> {
  const nonce: Hex = `0x${"ff".repeat(32)}`;
  const deadline = Math.floor(Date.now() / 1000) + plan.durationS;
  return quote(network, wallet, requestOf(network, plan, { manifest: "", nonce, deadline }));
}

function requestOf(network: NetworkInfo, plan: Plan, prepared: Prepared): Request {
  const args = [prepared.nonce, termsOf(network, plan, prepared)];
  return { call: "launch_campaign", args, pays: { token: plan.token, amount: plan.bounty } };
}

async function knownCampaign(network: NetworkInfo, wallet: Wallet, prepared: Prepared): Promise<bigint> {
  const provider = wallet.chainId === network.chain_id ? wallet.provider : undefined;
  if (!provider && !network.rpc_url) return 0n;
  return readerOf(network, provider).readContract({
    address: placeOf(network).contract,
    abi: sonarAbi,
    functionName: "campaign_of",
    args: [wallet.account, prepared.nonce as Hex],
  });
}

function numberOf(receipt: TransactionReceipt): bigint {
  const [launched] = parseEventLogs({ abi: sonarAbi, logs: receipt.logs, eventName: "CampaignLaunched" });
  if (!launched) throw new Refusal("That was no launch", "The transaction is in a block, and launched nothing. Look at it in your wallet.");
  return launched.args.campaign;
}
