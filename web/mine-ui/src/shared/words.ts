/** What the mine's codes mean, in words. */

import { formatAmount, formatCount } from "@openmined/shared/format";
import { REASONS } from "@openmined/shared/protocol/names";
import type { Campaign, Decision, Submission } from "./api";

export interface Mark {
  readonly label: string;
  readonly color: string;
}

const PHASES: Readonly<Record<string, Mark>> = {
  launched: { label: "Waiting to open", color: "yellow" },
  open: { label: "Open", color: "blue" },
  delivered: { label: "Delivered", color: "teal" },
  rejected: { label: "Rejected", color: "red" },
  cancelled: { label: "Cancelled", color: "gray" },
  expired: { label: "Expired", color: "gray" },
};

export function phaseMark(phase: string): Mark {
  return Object.hasOwn(PHASES, phase) ? (PHASES[phase] as Mark) : { label: clip(phase, 40), color: "gray" };
}

export const VERDICTS: Readonly<Record<Decision["verdict"], Mark>> = {
  accept: { label: "Takes part", color: "teal" },
  ask: { label: "Asks you", color: "yellow" },
  wait: { label: "Waits", color: "blue" },
  refuse: { label: "Refused", color: "gray" },
};

const STEPS: Readonly<Record<string, Mark>> = {
  intended: { label: "Begun", color: "blue" },
  downloaded: { label: "Model downloaded", color: "blue" },
  trained: { label: "Trained", color: "blue" },
  sealed: { label: "Sealed to Capsule", color: "blue" },
  uploaded: { label: "Uploaded", color: "blue" },
  submitting: { label: "Being submitted", color: "blue" },
  submitted: { label: "Waiting for Capsule", color: "blue" },
  failed: { label: "Not submitted", color: "red" },
};

/** How the work on one gradient stands. */
export function outcomeOf(work: Submission): Mark {
  if (work.step !== "outcome")
    return Object.hasOwn(STEPS, work.step) ? (STEPS[work.step] as Mark) : { label: clip(work.step, 40), color: "gray" };
  if (work.reason) return { label: `Rejected: ${REASONS[work.reason] ?? `reason ${work.reason}`}`, color: "red" };
  if (work.share_ppm) return { label: "Paid", color: "teal" };
  return { label: "Scored: no gain", color: "gray" };
}

/** Text of a stranger, cut to what a person would read. */
export function clip(text: string, most = 200): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

export function titleOf(title: string | null | undefined, campaign: number): string {
  return title ? clip(title) : `Campaign ${campaign}`;
}

/** A reason with its amounts in ETH: the ledger tells them in wei. */
export function readable(text: string): string {
  return clip(text, 600).replace(/\b(\d{10,}) wei\b/g, (_, wei: string) => formatAmount(BigInt(wei)));
}

export function reasonOf(decision: Decision): string {
  return decision.causes.map((cause) => readable(cause.text)).join("; ") || "no reason was given";
}

/** A reason that stands by itself. */
export function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

export function count(number: number, word: string, several = `${word}s`): string {
  return `${formatCount(number)} ${number === 1 ? word : several}`;
}

export function seconds(iso: string): number {
  return Date.parse(iso) / 1000;
}

export function isOpen(campaign: Campaign | undefined, now: number): boolean {
  return campaign?.phase === "open" && campaign.deadline > now && campaign.best_ppm < campaign.target_ppm;
}

/** What waits for the owner: asked, and not yet too late for an answer. */
export function waitingForOwner(decisions: readonly Decision[], campaigns: readonly Campaign[], now: number): Decision[] {
  const known = new Map(campaigns.map((campaign) => [campaign.campaign, campaign]));
  return decisions.filter((decision) => decision.verdict === "ask" && isOpen(known.get(decision.campaign), now));
}

/** Whether the owner himself has refused it, not a rule of his. */
export function refusedByOwner(decision: Decision): boolean {
  return decision.causes.some((cause) => cause.code === "refused");
}

/** Whether the owner has said something since that the mine has not looked at yet. */
export function waitsForNextLook(decision: Decision): boolean {
  if (decision.answer === "approved") return decision.verdict === "ask" || refusedByOwner(decision);
  return decision.answer === "refused" && decision.verdict !== "refuse";
}

/** Whether a decision waits for what the owner may have to bring: money, a store or a chain that answers. */
export function waitsForSomething(decision: Decision): boolean {
  return decision.verdict === "wait" && decision.causes.some((cause) => cause.code === "funds" || cause.code === "waiting");
}
