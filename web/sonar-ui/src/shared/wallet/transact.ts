/** One transaction, from the question to the wallet to the block it stands in. */

import { sonarAbi } from "@openmined/shared/sonar";
import { Refusal } from "@openmined/shared/ui";
import {
  type Address,
  createWalletClient,
  custom,
  erc20Abi,
  type Hex,
  type PublicClient,
  type TransactionReceipt,
  type WalletClient,
} from "viem";
import { isEth } from "../amounts";
import type { NetworkInfo } from "../api";
import { chainOf, placeOf, readerOf } from "../chain";
import { explainTransaction } from "./explain";
import type { Wallet } from "./WalletProvider";

export type Stage = "network" | "checking" | "signing" | "approving" | "waiting";
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
    if (request.pays && !isEth(request.pays.token)) await approve(network, reader, signer, request.pays, onStage);
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

/** Estimates what the network takes for a transaction, in wei. */
export async function quoteFee(network: NetworkInfo, wallet: Wallet, request: Request): Promise<bigint> {
  const reader = readerOf(network, wallet.provider);
  const [gas, price] = await Promise.all([
    reader.estimateContractGas(callOf(network, wallet.account, request) as never),
    reader.getGasPrice(),
  ]);
  return gas * price;
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

async function approve(
  network: NetworkInfo,
  reader: PublicClient,
  signer: WalletClient,
  pays: { token: string; amount: bigint },
  onStage: OnStage,
): Promise<void> {
  const account = signer.account;
  if (!account) throw new Error("no account");
  const token = { address: pays.token as Address, abi: erc20Abi } as const;
  const spender = placeOf(network).contract;
  const [balance, allowed] = await Promise.all([
    reader.readContract({ ...token, functionName: "balanceOf", args: [account.address] }),
    reader.readContract({ ...token, functionName: "allowance", args: [account.address, spender] }),
  ]);
  if (balance < pays.amount) throw new Refusal("Not enough tokens", "The account holds less than it would pay. Nothing was sent.");
  if (allowed >= pays.amount) return;
  onStage("approving");
  const { request } = await reader.simulateContract({ ...token, functionName: "approve", args: [spender, pays.amount], account });
  const hash = await signer.writeContract(request as never);
  onStage("waiting", hash);
  await reader.waitForTransactionReceipt({ hash, timeout: RECEIPT_MS });
}
