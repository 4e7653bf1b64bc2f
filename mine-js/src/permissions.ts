/**
 * What an owner permits: deny by default, decided in pure code, with every reason named.
 *
 * tests/vectors/permissions/cases.json holds these rules for every mine, whatever it is written in.
 */
import type { Broken } from "./schema.ts";
import { fixed, repr, sortedTexts } from "./text.ts";

export const ANY_FIELD = "*";
export const ETHER = `0x${"0".repeat(40)}`;

export type Verdict = "refuse" | "wait" | "ask" | "accept";
export type Answer = "none" | "approved" | "refused";

export interface DatasetPermission {
  mode: "deny" | "ask" | "automatic";
  fields: string[];
  min_bounty_wei: bigint;
  max_bond_wei: bigint;
  tokens: string[];
  data_scientists: string[];
  denied_data_scientists: string[];
  capsules: string[];
  denied_capsules: string[];
  max_rounds: number;
  epsilon_budget: number | null;
  hours: string[];
  timezone: string;
  cpu_share: number;
}

/** What a campaign asks of a dataset, as far as permissions care. */
export interface CampaignRequest {
  campaign: number;
  data_scientist: string;
  capsule: string;
  token: string;
  /** For the mines: Capsule's fee taken off. */
  bounty_wei: bigint;
  bond_wei: bigint;
  fields: string[];
  privacy: { epsilon: number; delta: number; level: string } | null;
  /** Whether a network is trained: a capsule that breaks the rules reads rows of its gradients. */
  trains_network: boolean;
}

/** What the ledger knows of a dataset's use. */
export interface DatasetUse {
  rounds: number;
  epsilon_spent: number;
  epsilon_paid_here: boolean;
  answer: Answer;
}

export interface Cause {
  code: string;
  text: string;
}

export interface Decision {
  verdict: Verdict;
  causes: Cause[];
}

export function decisionText(decision: Decision): string {
  return decision.causes.map((cause) => cause.text).join("; ");
}

/**
 * Decide whether a dataset may serve a campaign now. `refuse` beats `wait` (it is not the hour),
 * which beats `ask` (the owner has not answered), which beats `accept`.
 */
export function decide(
  permission: DatasetPermission,
  request: CampaignRequest,
  use: DatasetUse,
  now: Date,
): Decision {
  if (permission.mode === "deny") {
    return one("refuse", "denied", "the dataset is permitted to no campaign");
  }
  const refusals = [
    ...owner(use),
    ...fields(permission, request),
    ...money(permission, request),
    ...parties(permission, request),
    ...limits(permission, request, use),
  ];
  if (refusals.length > 0) return { verdict: "refuse", causes: refusals };
  if (!withinHours(permission, now)) {
    const spans = permission.hours.join(", ");
    return one("wait", "hours", `it is outside the permitted hours ${spans} (${permission.timezone})`);
  }
  const asks = question(permission, request);
  if (asks !== "" && use.answer === "none") return one("ask", "ask", asks);
  return asks !== ""
    ? one("accept", "approved", "the owner approved it")
    : one("accept", "automatic", "every criterion holds");
}

/** Say why the owner has to be asked; nothing if permissions decide alone. */
function question(permission: DatasetPermission, request: CampaignRequest): string {
  if (permission.mode === "ask") return "the owner has to be asked";
  if (request.trains_network && permission.capsules.length === 0) {
    return "it trains a network for a capsule that is not named: the owner has to be asked";
  }
  return "";
}

function one(verdict: Verdict, code: string, text: string): Decision {
  return { verdict, causes: [{ code, text }] };
}

function owner(use: DatasetUse): Cause[] {
  return use.answer === "refused" ? [{ code: "refused", text: "the owner refused it" }] : [];
}

function fields(permission: DatasetPermission, request: CampaignRequest): Cause[] {
  if (permission.fields.includes(ANY_FIELD)) return [];
  const denied = new Set(request.fields.filter((name) => !permission.fields.includes(name)));
  if (denied.size === 0) return [];
  return [{ code: "fields", text: `fields not permitted: ${sortedTexts(denied).join(", ")}` }];
}

function money(permission: DatasetPermission, request: CampaignRequest): Cause[] {
  const causes: Cause[] = [];
  const token = request.token.toLowerCase();
  if (token !== ETHER && !lower(permission.tokens).includes(token)) {
    causes.push({ code: "token", text: `it pays in the token ${token}, which is not accepted` });
  }
  if (request.bounty_wei < permission.min_bounty_wei) {
    const text =
      `its bounty for mines is ${request.bounty_wei} wei, ` +
      `below the least of ${permission.min_bounty_wei} wei`;
    causes.push({ code: "bounty", text });
  }
  if (request.bond_wei > permission.max_bond_wei) {
    const text = `its bond is ${request.bond_wei} wei, above the most of ${permission.max_bond_wei} wei`;
    causes.push({ code: "bond", text });
  }
  return causes;
}

function parties(permission: DatasetPermission, request: CampaignRequest): Cause[] {
  const { data_scientists, denied_data_scientists, capsules, denied_capsules } = permission;
  return [
    ...party("data-scientist", request.data_scientist, data_scientists, denied_data_scientists),
    ...party("capsule", request.capsule, capsules, denied_capsules),
  ];
}

function party(role: string, given: string, allowed: string[], denied: string[]): Cause[] {
  const name = role.replace("-", " ");
  const address = given.toLowerCase();
  if (lower(denied).includes(address)) {
    return [{ code: role, text: `the ${name} ${address} is denied` }];
  }
  if (allowed.length > 0 && !lower(allowed).includes(address)) {
    return [{ code: role, text: `the ${name} ${address} is not among the allowed` }];
  }
  return [];
}

function lower(addresses: string[]): string[] {
  return addresses.map((address) => address.toLowerCase());
}

function limits(permission: DatasetPermission, request: CampaignRequest, use: DatasetUse): Cause[] {
  const causes: Cause[] = [];
  if (use.rounds >= permission.max_rounds) {
    causes.push({ code: "rounds", text: `it had its ${permission.max_rounds} gradients` });
  }
  const budget = permission.epsilon_budget;
  if (budget === null) return causes;
  const privacy = request.privacy;
  if (privacy?.level !== "record") {
    const text = "it offers no differential privacy for rows, and a privacy budget is set";
    causes.push({ code: "privacy", text });
  } else if (!use.epsilon_paid_here && use.epsilon_spent + privacy.epsilon > budget + 1e-9) {
    const text =
      `it costs epsilon ${short(privacy.epsilon)}; ` +
      `${short(use.epsilon_spent)} of ${short(budget)} are spent`;
    causes.push({ code: "epsilon", text });
  }
  return causes;
}

function short(value: number): string {
  return fixed(value, 6).replace(/0+$/, "").replace(/\.$/, "");
}

const SPAN = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/;

function withinHours(permission: DatasetPermission, now: Date): boolean {
  if (permission.hours.length === 0) return true;
  const minute = minuteOfDay(now, permission.timezone);
  return permission.hours.some((span) => inside(span, minute));
}

function minuteOfDay(now: Date, timeZone: string): number {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(now);
  const part = (type: string) => Number(parts.find((item) => item.type === type)?.value ?? "0");
  return part("hour") * 60 + part("minute");
}

function inside(span: string, minute: number): boolean {
  const numbers = SPAN.exec(span)?.slice(1).map(Number) ?? [];
  const [startHour = 0, startMinute = 0, endHour = 0, endMinute = 0] = numbers;
  const start = startHour * 60 + startMinute;
  const end = endHour * 60 + endMinute;
  if (start === end) return true;
  return start < end ? start <= minute && minute < end : minute >= start || minute < end;
}

/** What JSON Schema cannot say of a permission. */
export function permissionRule(value: Record<string, unknown>): Broken | undefined {
  const permission = value as unknown as DatasetPermission;
  const span = permission.hours.find((item) => !SPAN.test(item));
  if (span !== undefined) {
    const text = `${repr(span)} is no span of hours; write it like 22:00-06:00`;
    return { at: "hours", text };
  }
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: permission.timezone });
    return undefined;
  } catch {
    const text = `${repr(permission.timezone)} is no time zone; write it like Europe/Lisbon`;
    return { at: "timezone", text };
  }
}
