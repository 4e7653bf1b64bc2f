/** A campaign's history, folded from its events. Pure: knows neither chain nor store. */

import type { Hex } from "viem";
import type { Phase } from "../protocol/names";
import type { EventOf, SonarEvent } from "./events";

export type Terms = EventOf<"CampaignLaunched">["args"]["terms"];
export type Score = EventOf<"GradientScored">["args"];
type Submission = EventOf<"GradientSubmitted">["args"];

export const NO_MODEL: Hex = `0x${"0".repeat(64)}`;

/** One scored batch, with what was true before it. */
export interface BatchRecord {
  readonly event: EventOf<"BatchScored">["args"];
  readonly scores: readonly Score[];
  readonly bestBeforePpm: bigint;
  readonly bountyBefore: bigint;
  readonly modelBefore: Hex;
  readonly versionBefore: bigint;
}

export interface History {
  launched: EventOf<"CampaignLaunched">["args"] | undefined;
  phase: Phase;
  bounty: bigint;
  bestPpm: bigint;
  version: bigint;
  model: Hex;
  gradients: Map<bigint, Submission>;
  scored: Set<bigint>;
  batches: BatchRecord[];
  refund: bigint;
  fee: bigint;
  delivery: Hex | undefined;
  /** Events that cannot follow from those before them: a node that lies or forgets. */
  faults: string[];
}

export function foldHistory(events: readonly SonarEvent[]): History {
  const history: History = {
    launched: undefined,
    phase: "none",
    bounty: 0n,
    bestPpm: 0n,
    version: 0n,
    model: NO_MODEL,
    gradients: new Map(),
    scored: new Set(),
    batches: [],
    refund: 0n,
    fee: 0n,
    delivery: undefined,
    faults: [],
  };
  const waiting: Score[] = [];
  for (const event of events) apply(history, waiting, event);
  if (waiting.length > 0) history.faults.push("gradients were scored in a batch that was never reported");
  return history;
}

export function paidBy(history: History): bigint {
  return history.batches.reduce((sum, batch) => sum + batch.event.paid, 0n);
}

function apply(history: History, waiting: Score[], event: SonarEvent): void {
  if (event.eventName === "CampaignLaunched") {
    history.launched = event.args;
    history.phase = "launched";
    history.bounty = event.args.terms.bounty;
    return;
  }
  if (!history.launched) {
    history.faults.push(`${event.eventName} came before the launch`);
    return;
  }
  switch (event.eventName) {
    case "BountyToppedUp":
      if (event.args.bounty !== history.bounty + event.args.amount) {
        history.faults.push(`a top-up of ${event.args.amount} does not lead to ${event.args.bounty}`);
      }
      history.bounty = event.args.bounty;
      return;
    case "CampaignOpened":
      history.phase = "open";
      history.bestPpm = event.args.accuracy_ppm;
      history.version = 1n;
      history.model = event.args.model;
      return;
    case "KeysRotated":
      history.version = event.args.version;
      history.model = event.args.model;
      return;
    case "GradientSubmitted":
      if (event.args.gradient !== BigInt(history.gradients.size)) {
        history.faults.push(`gradient ${event.args.gradient} came out of turn`);
      }
      history.gradients.set(event.args.gradient, event.args);
      return;
    case "GradientScored":
      score(history, event.args);
      waiting.push(event.args);
      return;
    case "BatchScored":
      closeBatch(history, waiting.splice(0), event.args);
      return;
    default:
      end(history, event);
  }
}

function score(history: History, score: Score): void {
  const submitted = history.gradients.get(score.gradient);
  if (!submitted || submitted.miner !== score.miner || history.scored.has(score.gradient)) {
    history.faults.push(`batch ${score.batch} scores gradient ${score.gradient}, which is not pending`);
  }
  history.scored.add(score.gradient);
}

function closeBatch(history: History, scores: Score[], event: BatchRecord["event"]): void {
  history.batches.push({
    event,
    scores,
    bestBeforePpm: history.bestPpm,
    bountyBefore: history.bounty,
    modelBefore: history.model,
    versionBefore: history.version,
  });
  history.bestPpm = event.best_ppm;
  history.bounty = event.bounty;
  history.version = event.version;
  if (event.model !== NO_MODEL) history.model = event.model;
}

function end(history: History, event: SonarEvent): void {
  if (event.eventName === "CampaignDelivered") {
    history.phase = "delivered";
    history.delivery = event.args.delivery;
    history.fee = event.args.fee;
    history.refund = event.args.refund;
  } else if (event.eventName === "CampaignRejected" || event.eventName === "CampaignCancelled" || event.eventName === "CampaignExpired") {
    history.phase = ({ CampaignRejected: "rejected", CampaignCancelled: "cancelled", CampaignExpired: "expired" } as const)[
      event.eventName
    ];
    history.refund = event.args.refund;
  }
}
