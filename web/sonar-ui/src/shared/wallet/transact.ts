/** One transaction, from the question to the wallet to the block it stands in. */

import { sonarAbi } from "@openmined/shared/sonar";
import { Refusal } from "@openmined/shared/ui";
import { type Address, createWalletClient, custom, type Hex, type TransactionReceipt } from "viem";
import { isEth } from "../amounts";
import type { NetworkInfo } from "../api";
import { chainOf, placeOf, readerOf } from "../chain";
import { allow, approvalOf, readHoldings } from "./allowance";
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
  /** In wei, for the transaction itself; undefined before the contract may take the tokens. */
  readonly fee: bigint | undefined;
}

/** Estimates what the network takes for a transaction. */
export async function quote(network: NetworkInfo, wallet: Wallet, request: Request): Promise<Quote> {
  const reader = readerOf(network, wallet.provider);
  const price = await reader.getGasPrice();
  const { account } = wallet;
  const pays = request.pays && !isEth(request.pays.token) ? request.pays : undefined;
  const { holds, allowed } = pays
    ? await readHoldings(network, reader, account, pays.token)
    : { holds: await reader.getBalance({ address: account }), allowed: 0n };
  if (holds < (request.pays?.amount ?? 0n)) return { holds, allowing: undefined, fee: undefined };
  if (pays && allowed < pays.amount) {
    return { holds, allowing: price * (await reader.estimateContractGas(approvalOf(network, account, pays, pays.amount))), fee: undefined };
  }
  const gas = await reader.estimateContractGas(callOf(network, account, request) as never).catch((error: unknown) => {
    throw explainTransaction(error);
  });
  return { holds, allowing: undefined, fee: price * gas };
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
