/** The permission editor's fields as text, and back. Pure. */

import { ETH, formatAmount, parseAmount } from "@openmined/shared/format";
import type { Permission } from "../../shared/api";
import { ANY_FIELD } from "../../shared/permission";

export type Mode = Permission["mode"];
export type Parties = "any" | "only";

/** What is typed; lists of addresses are one an entry, in any of the usual separators. */
export interface Form {
  readonly mode: Mode;
  readonly every: boolean;
  readonly fields: readonly string[];
  readonly minBounty: string;
  readonly maxBond: string;
  readonly maxRounds: string;
  readonly epsilon: string;
  readonly hours: string;
  readonly timezone: string;
  readonly cpuPercent: string;
  readonly tokens: string;
  readonly dataScientists: string;
  readonly deniedDataScientists: string;
  readonly capsules: string;
  readonly deniedCapsules: string;
}

export function formOf(permission: Permission): Form {
  return {
    mode: permission.mode,
    every: permission.fields.includes(ANY_FIELD),
    fields: permission.fields.filter((name) => name !== ANY_FIELD),
    minBounty: plain(permission.min_bounty_wei),
    maxBond: plain(permission.max_bond_wei),
    maxRounds: String(permission.max_rounds),
    epsilon: permission.epsilon_budget === null ? "" : String(permission.epsilon_budget),
    hours: permission.hours.join(", "),
    timezone: permission.timezone,
    cpuPercent: String(Math.round(permission.cpu_share * 100)),
    tokens: permission.tokens.join("\n"),
    dataScientists: permission.data_scientists.join("\n"),
    deniedDataScientists: permission.denied_data_scientists.join("\n"),
    capsules: permission.capsules.join("\n"),
    deniedCapsules: permission.denied_capsules.join("\n"),
  };
}

export type Faults = Partial<Record<keyof Form, string>>;

/** The permission that a form says, or what is wrong with it, by field. */
export function permissionOf(form: Form): { permission: Permission } | { faults: Faults } {
  const faults: Faults = {};
  const take = <T>(name: keyof Form, value: T | string, isFault: (value: T | string) => value is string): T | undefined => {
    if (!isFault(value)) return value;
    faults[name] = value;
    return undefined;
  };
  const amount = (name: "minBounty" | "maxBond") => take(name, parseAmount(form[name] || "0"), isText);
  const number = (name: keyof Form, least: number, most: number, whole = false) =>
    take(name, parseNumber(String(form[name]), least, most, whole), isText);
  const addresses = (name: keyof Form) => take(name, parseAddresses(String(form[name])), isText);
  const [bounty, bond] = [amount("minBounty"), amount("maxBond")];
  const permission = {
    mode: form.mode,
    fields: form.every ? [ANY_FIELD] : [...form.fields],
    min_bounty_wei: String(bounty ?? 0n),
    max_bond_wei: String(bond ?? 0n),
    max_rounds: number("maxRounds", 1, 100_000, true) ?? 1,
    epsilon_budget: form.epsilon.trim() === "" ? null : (number("epsilon", 1e-9, 1000) ?? null),
    hours: take("hours", parseHours(form.hours), isText) ?? [],
    timezone: form.timezone.trim() || "UTC",
    cpu_share: (number("cpuPercent", 1, 100) ?? 100) / 100,
    tokens: addresses("tokens") ?? [],
    data_scientists: addresses("dataScientists") ?? [],
    denied_data_scientists: addresses("deniedDataScientists") ?? [],
    capsules: addresses("capsules") ?? [],
    denied_capsules: addresses("deniedCapsules") ?? [],
  };
  if (form.mode !== "deny" && permission.fields.length === 0) faults.fields = "choose at least one field, or permit no campaign";
  return Object.keys(faults).length > 0 ? { faults } : { permission };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

export function parseNumber(text: string, least: number, most: number, whole: boolean): number | string {
  const value = /^\d{1,12}(\.\d{1,12})?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (Number.isNaN(value) || (whole && !Number.isInteger(value))) return `write a ${whole ? "whole " : ""}number`;
  return value < least || value > most ? `between ${least} and ${most}` : value;
}

export function parseHours(text: string): string[] | string {
  const spans = text.split(/[,;\s]+/).filter(Boolean);
  const wrong = spans.find((span) => !/^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.test(span));
  return wrong === undefined ? spans : `${wrong.slice(0, 20)} is no span of hours; write it like 22:00-06:00`;
}

export function parseAddresses(text: string): string[] | string {
  const found = text.split(/[,;\s]+/).filter(Boolean);
  const wrong = found.find((address) => !/^0x[0-9a-fA-F]{40}$/.test(address));
  return wrong === undefined ? found : `${wrong.slice(0, 50)} is no address; it begins with 0x and has 40 more signs`;
}

function plain(wei: string): string {
  const [number = "0"] = formatAmount(BigInt(wei), ETH, 18).split("\u00a0ETH");
  return number.replaceAll("\u00a0", "");
}
