/** A permission as sentences, for the owner to read before it is given. Pure. */

import { formatCount, shortHash } from "@openmined/shared/format";
import type { Permission } from "./api";
import { ETHER, money } from "./money";
import { clip } from "./words";

export const ANY_FIELD = "*";

/** What a dataset's permission says, a sentence a criterion. */
export function sentencesOf(name: string, permission: Permission): string[] {
  if (permission.mode === "deny") return [`No campaign may use ${name}.`];
  if (permission.fields.length === 0) return [`No campaign may use ${name}: no field of it is permitted.`];
  const unasked = permission.capsules.length > 0 || permission.epsilon_budget !== null;
  const automatic = unasked
    ? "Your mine takes part without asking you."
    : "Your mine takes part without asking you; about campaigns that train a network you are asked, until you name the capsules you trust.";
  const asked = permission.mode === "ask" ? "You are asked about each campaign first." : automatic;
  const parties = [
    party("data scientists", permission.data_scientists, permission.denied_data_scientists),
    party("capsules", permission.capsules, permission.denied_capsules),
  ];
  return [
    `Campaigns that pay mines ${atLeast(permission.min_bounty_wei)} may use ${fields(permission.fields)} of ${name}, up to ${formatCount(permission.max_rounds)} gradients each.`,
    asked,
    `A bond of at most ${money(permission.max_bond_wei, ETHER)} is put at stake for a gradient.`,
    ...parties.filter((sentence) => sentence !== ""),
    ...tokens(permission),
    privacy(permission),
    ...when(permission),
  ];
}

/** The first sentence, which says the most. */
export function headline(name: string, permission: Permission): string {
  const [first = "", asked] = sentencesOf(name, permission);
  return permission.mode === "ask" && asked ? `${first} ${asked}` : first;
}

function atLeast(wei: string): string {
  return BigInt(wei) === 0n ? "anything" : `at least ${money(wei, ETHER)}`;
}

function fields(names: readonly string[]): string {
  if (names.includes(ANY_FIELD)) return "every field";
  return listed(names.map((name) => clip(name, 60)));
}

function party(role: string, only: readonly string[], denied: readonly string[]): string {
  const but = denied.length > 0 ? `, but not ${addresses(denied)}` : "";
  if (only.length > 0) return `Only the ${role} ${addresses(only)} are allowed${but}.`;
  return but ? `Any ${role} are allowed${but}.` : "";
}

function tokens({ tokens, min_bounty_wei, max_bond_wei }: Permission): string[] {
  if (tokens.length === 0) return [];
  const [least, most] = [min_bounty_wei, max_bond_wei].map((wei) => formatCount(BigInt(wei)));
  return [
    `Besides ETH, bounties in ${tokens.length === 1 ? "the token" : "the tokens"} ${addresses(tokens)} are accepted, of at least ${least} of their smallest units and for a bond of at most ${most}.`,
  ];
}

function privacy(permission: Permission): string {
  if (permission.epsilon_budget === null) return "What Capsule sees is exact: no privacy budget is set.";
  return `Only campaigns with differential privacy for rows may use it, until epsilon ${permission.epsilon_budget} is spent in all.`;
}

function when(permission: Permission): string[] {
  const hours = permission.hours.length > 0 ? `Training happens at ${listed(permission.hours)} (${permission.timezone}) only.` : "";
  const share = permission.cpu_share < 1 ? `Training takes at most ${Math.round(permission.cpu_share * 100)} % of one processor.` : "";
  return [hours, share].filter((sentence) => sentence !== "");
}

function addresses(found: readonly string[]): string {
  return listed(found.map((address) => shortHash(address)));
}

function listed(names: readonly string[], most = 8): string {
  const shown = names.slice(0, most);
  if (names.length > most) return `${shown.join(", ")} and ${names.length - most} more`;
  const last = shown.at(-1) ?? "";
  return shown.length <= 1 ? last : `${shown.slice(0, -1).join(", ")} and ${last}`;
}
