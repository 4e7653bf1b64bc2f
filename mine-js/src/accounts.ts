/** What the ledger adds up to: earnings, and a mine's state for people and programs. Pure. */
import type { CampaignView } from "./campaigns.ts";
import type { StoredEvent, Submission } from "./ledger.ts";
import { ETHER } from "./permissions.ts";
import { sortedTexts } from "./text.ts";

export interface TokenEarnings {
  token: string;
  earned_wei: string;
  bonds_at_stake_wei: string;
  bonds_lost_wei: string;
}
export interface CampaignEarnings {
  campaign: number;
  token: string;
  gradients: number;
  scored: number;
  rejected: number;
  paid: number;
  earned_wei: string;
}
export interface Earnings {
  tokens: TokenEarnings[];
  campaigns: CampaignEarnings[];
}

/** Add up the ledger. */
export function sumEarnings(
  submissions: readonly Submission[],
  views: ReadonlyMap<number, CampaignView>,
): Earnings {
  const rows = submissions.filter((s) => s.step === "submitted" || s.step === "outcome");
  const tokenOf = (s: Submission) => views.get(s.campaign)?.token ?? ETHER;
  const tokens = sortedTexts(new Set(rows.map(tokenOf)));
  const campaigns = [...new Set(rows.map((s) => s.campaign))].sort((a, b) => a - b);
  return {
    tokens: tokens.map((token) =>
      ofToken(
        token,
        rows.filter((s) => tokenOf(s) === token),
      ),
    ),
    campaigns: campaigns.map((number) =>
      ofCampaign(
        number,
        views.get(number)?.token ?? ETHER,
        rows.filter((s) => s.campaign === number),
      ),
    ),
  };
}

function sum(rows: readonly Submission[], amount: (s: Submission) => bigint): string {
  return rows.reduce((total, row) => total + amount(row), 0n).toString();
}

function ofToken(token: string, rows: Submission[]): TokenEarnings {
  const done = rows.filter((s) => s.step === "outcome");
  const waiting = rows.filter((s) => s.step === "submitted");
  return {
    token,
    earned_wei: sum(done, (s) => s.payout ?? 0n),
    bonds_at_stake_wei: sum(waiting, (s) => s.bond ?? 0n),
    bonds_lost_wei: sum(done, (s) => (s.bond ?? 0n) - (s.bond_returned ?? 0n)),
  };
}

function ofCampaign(campaign: number, token: string, rows: Submission[]): CampaignEarnings {
  const done = rows.filter((s) => s.step === "outcome");
  const rejected = done.filter((s) => Boolean(s.reason)).length;
  return {
    campaign,
    token,
    gradients: rows.length,
    scored: done.length - rejected,
    rejected,
    paid: done.filter((s) => Boolean(s.share_ppm)).length,
    earned_wei: sum(done, (s) => s.payout ?? 0n),
  };
}

/** Return by token what Sonar owes: payouts and bonds that came back, less withdrawals. */
export function withdrawable(
  events: readonly StoredEvent[],
  views: ReadonlyMap<number, CampaignView>,
  account: string,
): Record<string, string> {
  const owed = new Map<string, bigint>();
  const add = (token: string, amount: bigint) =>
    owed.set(token.toLowerCase(), (owed.get(token.toLowerCase()) ?? 0n) + amount);
  for (const view of views.values()) {
    const credit = view.mine.reduce((total, g) => total + g.payout + g.bond_returned, 0n);
    if (credit !== 0n) add(view.token, credit);
  }
  for (const { name, arguments: a } of events) {
    if (name === "Withdrawn" && String(a.account).toLowerCase() === account.toLowerCase()) {
      add(String(a.token), -BigInt(String(a.amount)));
    }
  }
  const left = sortedTexts(owed.keys()).filter((token) => (owed.get(token) ?? 0n) > 0n);
  return Object.fromEntries(left.map((token) => [token, String(owed.get(token))]));
}

/** Write a submission for people and programs. */
export function submissionJson(s: Submission): Record<string, unknown> {
  const { campaign, version, at, samples, gradient, tx, share_ppm, reason, problem } = s;
  const text = (amount: bigint | null) => (amount === null ? null : amount.toString());
  return {
    campaign,
    version,
    at,
    samples,
    gradient,
    tx,
    share_ppm,
    reason,
    problem,
    step: s.step,
    datasets: s.datasets,
    bond_wei: text(s.bond),
    payout_wei: text(s.payout),
    bond_returned_wei: text(s.bond_returned),
  };
}
