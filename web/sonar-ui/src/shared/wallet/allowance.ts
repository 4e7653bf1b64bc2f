/** Letting the contract take an ERC-20 token: exactly what is paid, and never more. */

import { Refusal } from "@openmined/shared/ui";
import { type Address, erc20Abi, getAddress, type Hex, type PublicClient, type WalletClient } from "viem";
import type { NetworkInfo } from "../api";
import { placeOf } from "../chain";
import type { OnStage } from "./transact";

interface Payment {
  readonly token: string;
  readonly amount: bigint;
}

const RECEIPT_MS = 180_000;

/** Allows the contract a payment, unless it is allowed already. Nothing is deposited by this. */
export async function allow(
  network: NetworkInfo,
  reader: PublicClient,
  signer: WalletClient,
  pays: Payment,
  onStage: OnStage,
): Promise<void> {
  const account = signer.account?.address;
  if (!account) throw new Error("no account");
  const { holds, allowed } = await readHoldings(network, reader, account, pays.token);
  if (holds < pays.amount) throw new Refusal("Not enough tokens", "The account holds less than it would pay. Nothing was sent.");
  if (allowed >= pays.amount) return;
  for (const request of await approvalsOf(network, reader, account, pays, allowed)) await approve(reader, signer, request, onStage);
}

/** Waits for an allowance that an earlier visit sent. Whether it is enough is looked at afterwards, whatever became of it. */
export async function followAllowance(reader: PublicClient, hash: Hex, onStage: OnStage): Promise<void> {
  onStage("allowing", hash);
  await reader.waitForTransactionReceipt({ hash, timeout: RECEIPT_MS });
}

/** What an account has of a token, and what the contract may take of it. */
export async function readHoldings(network: NetworkInfo, reader: PublicClient, account: Address, token: string) {
  const contract = { address: getAddress(token), abi: erc20Abi } as const;
  const [holds, allowed] = await Promise.all([
    reader.readContract({ ...contract, functionName: "balanceOf", args: [account] }),
    reader.readContract({ ...contract, functionName: "allowance", args: [account, placeOf(network).contract] }),
  ]);
  return { holds, allowed };
}

/** The calls that allow a payment: one, or for tokens that change an allowance only by way of zero (USDT among them) two. */
export async function approvalsOf(
  network: NetworkInfo,
  reader: PublicClient,
  account: Address,
  pays: Payment,
  allowed: bigint,
): Promise<[Approval, ...Approval[]]> {
  const request = approvalOf(network, account, pays, pays.amount);
  if (allowed === 0n || (await wouldRun(reader, request))) return [request];
  return [approvalOf(network, account, pays, 0n), request];
}

function approvalOf(network: NetworkInfo, account: Address, { token }: Payment, amount: bigint) {
  const args = [placeOf(network).contract, amount] as const;
  return { account, address: getAddress(token), abi: erc20Abi, functionName: "approve", args } as const;
}

type Approval = ReturnType<typeof approvalOf>;

/** Some tokens answer nothing where EIP-20 wants a word, so the answer is not looked at. */
async function wouldRun(reader: PublicClient, request: Approval): Promise<boolean> {
  return reader.estimateContractGas(request).then(
    () => true,
    () => false,
  );
}

async function approve(reader: PublicClient, signer: WalletClient, request: Approval, onStage: OnStage): Promise<void> {
  const refused = new Refusal(
    "The token refuses the allowance",
    "Its contract does not let Sonar take what you would pay. Nothing was deposited.",
  );
  if (!(await wouldRun(reader, request))) throw refused;
  onStage("approving");
  const hash = await signer.writeContract({ ...request, chain: signer.chain ?? null });
  onStage("allowing", hash);
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: RECEIPT_MS });
  if (receipt.status !== "success") throw refused;
}
