/** One transaction, from the question to the wallet to the block it stands in. */

import { sonarAbi } from "@openmined/shared/sonar";
import { Refusal } from "@openmined/shared/ui";
import { type Address, createWalletClient, custom, encodeFunctionData, type Hex, type PublicClient, type TransactionReceipt } from "viem";
import { isEth } from "../amounts";
import type { NetworkInfo } from "../api";
import { chainOf, placeOf, readerOf } from "../chain";
import { allow, approvalsOf, followAllowance, readHoldings } from "./allowance";
import { explainTransaction } from "./explain";
import type { Wallet } from "./WalletProvider";

export type Stage = "network" | "approving" | "allowing" | "checking" | "signing" | "waiting";
export type OnStage = (stage: Stage, hash?: Hex) => void;
export type Call = "top_up" | "cancel_campaign" | "expire_campaign" | "withdraw" | "launch_campaign";

export interface Request {
  readonly call: Call;
  readonly args: readonly unknown[];
  /** What the contract takes: in ETH with the call, in a token by its allowance. */
  readonly pays?: { readonly token: string; readonly amount: bigint } | undefined;
}

interface Contacted {
  readonly address: Address;
  readonly value?: bigint;
}

const RECEIPT_MS = 180_000;

/** Asks, sends, follows. Fails with a `Refusal` that says what happened. */
export async function transact(network: NetworkInfo, wallet: Wallet, request: Request, onStage: OnStage): Promise<TransactionReceipt> {
  try {
    onStage("network");
    await useChain(network, wallet);
    const reader = readerOf(network, wallet.provider);
    const signer = createWalletClient({ account: wallet.account, chain: chainOf(network), transport: custom(wallet.provider) });
    if (request.pays && !isEth(request.pays.token)) await allow(network, reader, signer, request.pays, onStage);
    onStage("checking");
    const simulated = await reader.simulateContract(callOf(network, wallet.account, request) as never);
    onStage("signing");
    const hash = await signer.writeContract(simulated.request as never);
    return await follow(network, wallet, hash, onStage);
  } catch (error) {
    throw explainTransaction(error);
  }
}

/** Waits for an allowance that an earlier visit sent. */
export async function resumeAllowance(network: NetworkInfo, wallet: Wallet, hash: Hex, onStage: OnStage): Promise<void> {
  try {
    await followAllowance(readerOf(network, wallet.provider), hash, onStage);
  } catch (error) {
    throw explainTransaction(error);
  }
}

/** Follows a transaction that was sent, also by an earlier visit. */
export async function follow(
  network: NetworkInfo,
  wallet: Pick<Wallet, "provider">,
  hash: Hex,
  onStage: OnStage,
): Promise<TransactionReceipt> {
  onStage("waiting", hash);
  const reader = readerOf(network, wallet.provider);
  let replaced: string | undefined;
  const receipt = await reader
    .waitForTransactionReceipt({ hash, timeout: RECEIPT_MS, onReplaced: ({ reason }) => (replaced = reason) })
    .catch((error: unknown) => {
      throw explainTransaction(error);
    });
  if (replaced === "cancelled" || replaced === "replaced") {
    throw new Refusal(
      "You replaced the transaction in the wallet",
      "What was asked for here did not happen. Start it again if you want it.",
    );
  }
  if (receipt.status !== "success") {
    throw new Refusal(
      "The transaction failed",
      "The contract refused it when its turn came. Only the network's fee was paid. Load the page again to see what changed.",
    );
  }
  return receipt;
}

export interface Quote {
  /** What the account has of what it pays with. */
  readonly holds: bigint;
  /** In wei, for letting the contract take tokens; undefined where that is not needed. */
  readonly allowing: bigint | undefined;
  /** In wei, for the transaction itself; undefined where no node can try it before the tokens are allowed. */
  readonly fee: bigint | undefined;
  /** In wei, what the account has for both. */
  readonly ether: bigint;
}

/** Estimates what the network takes for a transaction. */
export async function quote(network: NetworkInfo, wallet: Wallet, request: Request): Promise<Quote> {
  const reader = readerOf(network, wallet.provider);
  const price = await reader.getGasPrice();
  const { account } = wallet;
  const pays = request.pays && !isEth(request.pays.token) ? request.pays : undefined;
  const ether = await reader.getBalance({ address: account });
  const { holds, allowed } = pays ? await readHoldings(network, reader, account, pays.token) : { holds: ether, allowed: 0n };
  if (holds < (request.pays?.amount ?? 0n)) return { holds, allowing: undefined, fee: undefined, ether };
  if (pays && allowed < pays.amount) {
    const approvals = await approvalsOf(network, reader, account, pays, allowed);
    const used = await gasInARow(reader, account, [...approvals, callOf(network, account, request)]);
    const allowing = used ? sum(used.slice(0, -1)) : await reader.estimateContractGas(approvals[0]);
    return { holds, allowing: price * allowing, fee: used && price * (used.at(-1) ?? 0n), ether };
  }
  const gas = await reader.estimateContractGas(callOf(network, account, request) as never).catch((error: unknown) => {
    throw explainTransaction(error);
  });
  return { holds, allowing: undefined, fee: price * gas, ether };
}

/** What calls burn, each on what those before it left behind (eth_simulateV1); undefined where a node cannot tell. */
async function gasInARow(reader: PublicClient, account: Address, calls: readonly Contacted[]): Promise<bigint[] | undefined> {
  const encoded = calls.map((call) => ({ account, to: call.address, value: call.value, data: encodeFunctionData(call as never) }));
  try {
    const [block] = await reader.simulateBlocks({ blocks: [{ calls: encoded }] });
    return block?.calls.every(({ status }) => status === "success") ? block.calls.map(({ gasUsed }) => gasUsed) : undefined;
  } catch {
    return undefined;
  }
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

function callOf(network: NetworkInfo, account: Address, request: Request) {
  const value = request.pays && isEth(request.pays.token) ? request.pays.amount : 0n;
  return { account, address: placeOf(network).contract, abi: sonarAbi, functionName: request.call, args: request.args, value };
}

async function useChain(network: NetworkInfo, wallet: Wallet): Promise<void> {
  const current = Number(await wallet.provider.request({ method: "eth_chainId" }));
  if (current === network.chain_id) return;
  try {
    await wallet.switchTo(network.chain_id);
  } catch {
    throw wrongChain(network, current);
  }
}

function wrongChain(network: NetworkInfo, current: number): Refusal {
  const name = network.name ? `${network.name} (chain ${network.chain_id})` : `chain ${network.chain_id}`;
  return new Refusal(
    "The wallet is on another network",
    `It is on chain ${current}; this page is about ${name}. Choose that network in the wallet, then try again.`,
  );
}
