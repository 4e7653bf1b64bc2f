/** The few questions to a wallet that need no library. */

import type { Address, EIP1193Provider } from "viem";

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const REFUSED = 4001;

export async function askAccount(provider: EIP1193Provider): Promise<Address | undefined> {
  return firstOf(await provider.request({ method: "eth_requestAccounts" }));
}

export async function knownAccount(provider: EIP1193Provider): Promise<Address | undefined> {
  return firstOf(await provider.request({ method: "eth_accounts" }));
}

export async function walletChain(provider: EIP1193Provider): Promise<number> {
  return Number(await provider.request({ method: "eth_chainId" }));
}

export function isRefused(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === REFUSED;
}

function firstOf(accounts: readonly Address[]): Address | undefined {
  const [account] = accounts;
  return account && ADDRESS.test(account) ? account : undefined;
}
