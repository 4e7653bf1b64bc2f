/** Amounts, and where a transaction can be looked up. */

import { ETH, formatAmount, shortHash, type Token } from "@openmined/shared/format";
import { explorerLink, Hash } from "@openmined/shared/ui";
import { useStatus } from "./api";

const NO_TOKEN = /^0x0{40}$/;
export const ETHER = `0x${"0".repeat(40)}`;

export function isEth(token: string): boolean {
  return NO_TOKEN.test(token);
}

/** A mine knows no token's decimals: amounts of other tokens are told in smallest units. */
export function tokenOf(address: string): Token {
  return isEth(address) ? ETH : { symbol: `units of ${shortHash(address)}`, decimals: 0 };
}

export function money(value: string | bigint, token: string, digits?: number): string {
  return formatAmount(BigInt(value), tokenOf(token), digits);
}

export function Amount({ value, token = ETHER, digits }: { value: string | bigint; token?: string; digits?: number }) {
  return <span style={{ whiteSpace: "nowrap" }}>{money(value, token, digits)}</span>;
}

/** A transaction: a link where its chain has an explorer, and in any case to be copied. */
export function Transaction({ tx }: { tx: string }) {
  const network = useStatus().data?.network;
  const hash = tx.startsWith("0x") ? tx : `0x${tx}`;
  return <Hash text={hash} href={explorerLink(network, "tx", hash)} label="the transaction's hash" />;
}
