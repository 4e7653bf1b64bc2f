/** From a draft to what is launched: every field checked, problems by field, amounts exact. */

import { parseAmount, parsePercent, type Token } from "@openmined/shared/format";
import type { Draft } from "./draft";
import type { Task } from "./task";

export interface Plan {
  readonly title: string;
  readonly description: string;
  readonly token: string;
  readonly bounty: bigint;
  readonly fee: bigint;
  readonly bond: bigint;
  readonly startPpm: number;
  readonly tolerancePpm: number;
  readonly targetPpm: number;
  readonly stepPpm: number;
  readonly durationS: number;
  readonly graceS: number;
  readonly maxGradients: number;
  readonly epsilon: number | undefined;
  readonly certificate: string;
}

export type Problems = Partial<Record<keyof Draft, string>>;

export const ETH_ADDRESS = `0x${"0".repeat(40)}`;
export const MAX_BATCH = 64;
const DAY_S = 86_400;
const TWENTIETH = 20n;
const THOUSANDTH = 1000n;

/** Amounts are in `token`; `tokenFault` says why it cannot be used, or not yet. */
export function makePlan(
  draft: Draft,
  task: Task | undefined,
  token: Token,
  tokenFault?: string,
): { plan: Plan | undefined; problems: Problems } {
  const problems: Problems = {};
  const read = <T>(field: keyof Draft, value: T | string): T | undefined => {
    if (typeof value !== "string") return value;
    problems[field] = value;
    return undefined;
  };
  const title = draft.title.trim();
  if (title.length === 0 || [...title].length > 200) problems.title = "1 to 200 characters";
  if ([...draft.description].length > 4096) problems.description = "at most 4096 characters";
  if (draft.token && !/^0x[0-9a-fA-F]{40}$/.test(draft.token)) problems.token = "an address: 0x and 40 hexadecimal digits";
  else if (tokenFault) problems.token = tokenFault;
  const amount = (field: "bounty" | "fee" | "bond") => (tokenFault ? undefined : read(field, parseAmount(draft[field], token)));
  const bounty = amount("bounty");
  if (bounty === 0n) problems.bounty = "more than nothing";
  const fee = draft.fee ? amount("fee") : (bounty ?? 0n) / TWENTIETH;
  const bond = draft.bond ? amount("bond") : (bounty ?? 0n) / THOUSANDTH;
  if (bounty && fee !== undefined && fee >= bounty) problems.fee = "less than the bounty";
  const startPpm = draft.claimed ? read("claimed", parsePercent(draft.claimed)) : task?.startPpm;
  if (draft.source && !draft.earlier) problems.source = "open the model, or start from nothing";
  const targetPpm = read("target", parsePercent(draft.target));
  if (startPpm !== undefined && targetPpm !== undefined && targetPpm <= startPpm)
    problems.target = `above the ${startPpm / 10_000} % it begins with`;
  const stepPpm = draft.step ? read("step", parsePercent(draft.step)) : task?.stepPpm;
  if (stepPpm === 0) problems.step = "more than nothing";
  const days = read("days", numberIn(draft.days, 0.001, 3650, "days"));
  const graceDays = read("graceDays", numberIn(draft.graceDays, 0.001, 30, "days"));
  const maxGradients = read("maxGradients", numberIn(draft.maxGradients, 1, 4_294_967_295, "gradients", true));
  const epsilon = draft.epsilon ? read("epsilon", numberIn(draft.epsilon, 0.001, 1000, "ε")) : undefined;
  if (!draft.certificate.startsWith("-----BEGIN PGP PUBLIC KEY"))
    problems.certificate = "the final model is encrypted to your key: make one, or paste its certificate";
  const complete = bounty !== undefined && fee !== undefined && bond !== undefined && startPpm !== undefined && targetPpm !== undefined;
  if (!task || !complete || !stepPpm || !days || !graceDays || !maxGradients || Object.keys(problems).length > 0)
    return { plan: undefined, problems };
  const plan: Plan = {
    title,
    description: draft.description.trim(),
    token: draft.token || ETH_ADDRESS,
    bounty,
    fee,
    bond,
    startPpm,
    tolerancePpm: task.tolerancePpm,
    targetPpm,
    stepPpm,
    durationS: Math.round(days * DAY_S),
    graceS: Math.round(graceDays * DAY_S),
    maxGradients,
    epsilon,
    certificate: draft.certificate,
  };
  return { plan, problems };
}

function numberIn(text: string, low: number, high: number, unit: string, whole = false): number | string {
  const number = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (Number.isNaN(number) || number < low || number > high || (whole && !Number.isInteger(number))) {
    return `${whole ? "a whole number" : "a number"} from ${low} to ${high} (${unit})`;
  }
  return number;
}
