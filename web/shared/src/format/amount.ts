/** Money: whole numbers of the token's smallest unit, written for people. */

import { NBSP } from "./numbers";

export interface Token {
  readonly symbol: string;
  readonly decimals: number;
}

export const ETH: Token = { symbol: "ETH", decimals: 18 };

const LARGEST = 2n ** 128n - 1n;

/** Writes an amount in the token's unit: 10n ** 17n -> `0.1 ETH`. Rounds half to even. */
export function formatAmount(amount: bigint, token: Token = ETH, digits = 6): string {
  const rounded = roundTo(amount < 0n ? -amount : amount, token.decimals, digits);
  if (amount !== 0n && rounded === 0n) {
    return `${amount}${NBSP}${token.decimals === 18 ? "wei" : "units"}`;
  }
  const kept = Math.min(digits, token.decimals);
  const text = rounded.toString().padStart(kept + 1, "0");
  const whole = text.slice(0, text.length - kept);
  const part = text.slice(text.length - kept).replace(/0+$/, "");
  const sign = amount < 0n ? "-" : "";
  return `${sign}${group(whole)}${part ? `.${part}` : ""}${NBSP}${token.symbol}`;
}

/** Reads an amount that a person typed; answers with a sentence if it is none. */
export function parseAmount(text: string, token: Token = ETH): bigint | string {
  const found = /^(\d{1,30})(?:\.(\d*))?$/.exec(text.trim());
  if (!found) return `write a number like 0.25 (${token.symbol})`;
  const [, whole = "0", part = ""] = found;
  if (part.replace(/0+$/, "").length > token.decimals) {
    return `${token.symbol} has ${token.decimals} places after the point`;
  }
  const places = part.slice(0, token.decimals).padEnd(token.decimals, "0");
  const amount = BigInt(whole + places);
  return amount > LARGEST ? "more than a campaign can hold" : amount;
}

function roundTo(amount: bigint, decimals: number, digits: number): bigint {
  if (decimals <= digits) return amount;
  const unit = 10n ** BigInt(decimals - digits);
  const [below, rest] = [amount / unit, amount % unit];
  const up = rest * 2n > unit || (rest * 2n === unit && below % 2n === 1n);
  return up ? below + 1n : below;
}

function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, NBSP);
}
