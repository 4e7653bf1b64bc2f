/** Campaigns as their events tell them: a pure fold, so that a reorganised chain is folded again. */
import type { StoredEvent } from "./ledger.ts";

export const NO_DIGEST = "0".repeat(64);
export type Phase = "launched" | "open" | "delivered" | "rejected" | "cancelled" | "expired";

/** One of this mine's gradients, as the chain tells it. */
export interface MyGradient {
  gradient: number;
  version: number;
  envelope: string;
  tx: string;
  status: "pending" | "scored" | "rejected" | "reclaimed";
  share_ppm: number;
  payout: bigint;
  bond_returned: bigint;
  reason: number;
}

/** A campaign, as far as its events were read. Digests are hexadecimal. */
export interface CampaignView {
  campaign: number;
  data_scientist: string;
  capsule: string;
  spec: string;
  token: string;
  bounty: bigint;
  fee: bigint;
  bond: bigint;
  start_ppm: number;
  target_ppm: number;
  deadline: number;
  max_gradients: number;
  phase: Phase;
  version: number;
  epoch: number;
  keys: string;
  model: string;
  best_ppm: number;
  mine: MyGradient[];
}

type Arguments = Record<string, string>;

/** What mines can earn: the bounty without Capsule's fee. */
export function minesPart(view: CampaignView): bigint {
  return view.bounty - view.fee;
}

export function withEnvelope(view: CampaignView, envelope: string): MyGradient | undefined {
  return view.mine.find((gradient) => gradient.envelope === envelope);
}

export function hasEnded(view: CampaignView): boolean {
  return view.phase !== "launched" && view.phase !== "open";
}

/** Return the campaigns by number, with the gradients of `miner`. */
export function foldEvents(events: Iterable<StoredEvent>, miner: string): Map<number, CampaignView> {
  const found = new Map<number, CampaignView>();
  const mine = miner.toLowerCase();
  for (const event of events) {
    if (event.campaign === null) continue;
    const view = found.get(event.campaign);
    if (event.name === "CampaignLaunched") found.set(event.campaign, launched(event));
    else if (view !== undefined) found.set(event.campaign, apply(view, event, mine));
  }
  return found;
}

/** Tell whether the ledger keeps an event: the campaigns' own, and this mine's. */
export function concerns(event: StoredEvent, miner: string): boolean {
  const party = {
    Withdrawn: "account",
    GradientSubmitted: "miner",
    GradientScored: "miner",
    BondReclaimed: "miner",
  }[event.name];
  if (party === undefined) return true;
  return String(event.arguments[party]).toLowerCase() === miner.toLowerCase();
}

function launched(event: StoredEvent): CampaignView {
  const a = event.arguments as Arguments;
  const terms = event.arguments.terms as Arguments;
  const of = (name: string) => terms[name] ?? "";
  return {
    campaign: event.campaign ?? 0,
    data_scientist: a.data_scientist ?? "",
    capsule: a.capsule ?? "",
    spec: of("spec"),
    token: of("token"),
    bounty: BigInt(of("bounty")),
    fee: BigInt(of("fee")),
    bond: BigInt(of("bond")),
    start_ppm: Number(of("start_ppm")),
    target_ppm: Number(of("target_ppm")),
    deadline: Number(of("deadline")),
    max_gradients: Number(of("max_gradients")),
    phase: "launched",
    version: 0,
    epoch: 0,
    keys: "",
    model: "",
    best_ppm: 0,
    mine: [],
  };
}

const ENDS: Record<string, Phase> = {
  CampaignCancelled: "cancelled",
  CampaignRejected: "rejected",
  CampaignDelivered: "delivered",
  CampaignExpired: "expired",
};

function apply(view: CampaignView, event: StoredEvent, miner: string): CampaignView {
  const a = event.arguments as Arguments;
  const of = (name: string) => a[name] ?? "";
  const end = ENDS[event.name];
  if (end !== undefined) return { ...view, phase: end };
  switch (event.name) {
    case "BountyToppedUp":
      return { ...view, bounty: BigInt(of("bounty")) };
    case "CampaignOpened":
      return {
        ...view,
        phase: "open",
        version: 1,
        epoch: 1,
        keys: of("keys"),
        model: of("model"),
        best_ppm: Number(of("accuracy_ppm")),
      };
    case "KeysRotated":
      return {
        ...view,
        epoch: Number(of("epoch")),
        version: Number(of("version")),
        keys: of("keys"),
        model: of("model"),
      };
    case "BatchScored":
      return {
        ...view,
        best_ppm: Number(of("best_ppm")),
        bounty: BigInt(of("bounty")),
        version: Number(of("version")),
        model: of("model") === NO_DIGEST ? view.model : of("model"),
      };
    default:
      if (of("miner").toLowerCase() !== miner) return view;
      return { ...view, mine: myGradients(view.mine, event.name, event.tx, a) };
  }
}

function myGradients(known: MyGradient[], name: string, tx: string, a: Arguments): MyGradient[] {
  const number = Number(a.gradient);
  if (name !== "GradientSubmitted") {
    return known.map((item) => (item.gradient === number ? outcome(item, name, a) : item));
  }
  const fresh: MyGradient = {
    gradient: number,
    version: Number(a.version),
    envelope: a.envelope ?? "",
    tx,
    status: "pending",
    share_ppm: 0,
    payout: 0n,
    bond_returned: 0n,
    reason: 0,
  };
  return [...known.filter((item) => item.gradient !== number), fresh];
}

function outcome(gradient: MyGradient, name: string, a: Arguments): MyGradient {
  if (name === "BondReclaimed") {
    return { ...gradient, status: "reclaimed", bond_returned: BigInt(a.amount ?? "0") };
  }
  const reason = Number(a.reason);
  return {
    ...gradient,
    status: reason === 0 ? "scored" : "rejected",
    share_ppm: Number(a.share_ppm),
    payout: BigInt(a.payout ?? "0"),
    bond_returned: BigInt(a.bond_returned ?? "0"),
    reason,
  };
}

/** Why Capsule rejected a gradient, as the contract numbers it. */
export const REASONS: Record<number, string> = {
  0: "accepted",
  1: "malformed",
  2: "misbound",
  3: "duplicate",
  4: "over-quota",
  5: "harmful",
  6: "absurd",
  128: "stale",
  129: "unavailable",
  130: "closed",
};
export const STALE = 128;
