/** Recomputes every payout of a campaign from the chain's events and the receipts on the store.
 *
 * Nothing is trusted but arithmetic and sha2-256; the checks are those of PySonar's audit.
 */

import type { ReceiptManifest } from "../protocol";
import { batchPayout, counts, decodeManifest, losesBond, PPM, sharePayout } from "../protocol";
import { cidOfDigest, type StoreClient } from "../store";
import type { SonarPlace } from "./events";
import { type BatchRecord, type History, NO_MODEL, paidBy, type Score } from "./history";

export interface PayoutCheck {
  readonly batch: bigint;
  readonly gradient: bigint;
  readonly miner: string;
  readonly sharePpm: bigint;
  readonly reason: bigint;
  readonly paid: bigint;
  readonly expected: bigint;
}

export interface Finding {
  /** Undefined when it is about the campaign. */
  readonly batch: bigint | undefined;
  readonly text: string;
}

/** What the contract itself says at the same block. */
export interface ContractState {
  readonly phase: string;
  readonly bounty: bigint;
  readonly paid: bigint;
  readonly bestPpm: bigint;
  readonly gradients: bigint;
  readonly batches: bigint;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly payouts: readonly PayoutCheck[];
  readonly findings: readonly Finding[];
  readonly paid: bigint;
  readonly batches: number;
  /** Receipts that were fetched, verified and read. */
  readonly receipts: number;
}

export async function auditHistory(place: SonarPlace, store: StoreClient, history: History, state: ContractState): Promise<AuditReport> {
  const audit = new Audit(place, store, history);
  for (const fault of history.faults) audit.find(undefined, fault);
  if (history.launched) {
    await audit.checkManifest();
    for (const [index, record] of history.batches.entries()) await audit.checkBatch(index, record);
    audit.checkEnd(state);
  } else {
    audit.find(undefined, "the launch is not among the events");
  }
  return {
    ok: audit.findings.length === 0,
    payouts: audit.payouts,
    findings: audit.findings,
    paid: paidBy(history),
    batches: history.batches.length,
    receipts: audit.receipts,
  };
}

class Audit {
  readonly findings: Finding[] = [];
  readonly payouts: PayoutCheck[] = [];
  receipts = 0;
  private validation: string | undefined;

  constructor(
    private readonly place: SonarPlace,
    private readonly store: StoreClient,
    private readonly history: History,
  ) {}

  find(batch: bigint | undefined, text: string): void {
    this.findings.push({ batch, text });
  }

  expect(batch: bigint | undefined, what: string, found: Plain, wanted: Plain): void {
    if (String(found) !== String(wanted)) this.find(batch, `${what} is ${shown(found)}, ${shown(wanted)} follows`);
  }

  private get terms() {
    if (!this.history.launched) throw new Error("no launch");
    return this.history.launched.terms;
  }

  async checkManifest(): Promise<void> {
    try {
      const data = await this.store.getBlock(cidOfDigest(this.terms.spec));
      const manifest = decodeManifest(data, "openmined/campaign@1");
      this.expect(undefined, "the manifest's target", manifest.target_ppm, this.terms.target_ppm);
      this.expect(undefined, "the manifest's start", manifest.start_ppm, this.terms.start_ppm);
    } catch (error) {
      this.find(undefined, `the campaign manifest cannot be read: ${textOf(error)}`);
    }
  }

  async checkBatch(index: number, record: BatchRecord): Promise<void> {
    this.expect(BigInt(index + 1), "the batch's number", record.event.batch, index + 1);
    this.checkMoney(record);
    const receipt = await this.readReceipt(record);
    if (receipt) {
      this.checkReceipt(record, receipt);
      this.checkEntries(record, receipt);
    }
  }

  private checkMoney(record: BatchRecord): void {
    const { event } = record;
    const terms = {
      bounty: record.bountyBefore,
      fee: this.terms.fee,
      bestPpm: record.bestBeforePpm,
      accuracyPpm: event.accuracy_ppm,
      targetPpm: this.terms.target_ppm,
      minImprovementPpm: this.terms.min_improvement_ppm,
    };
    const total = batchPayout(terms);
    // biome-ignore lint/complexity/useMathMinMax: Math.min takes no bigint
    const reached = event.accuracy_ppm < terms.targetPpm ? event.accuracy_ppm : terms.targetPpm;
    this.expect(event.batch, "the best accuracy afterwards", event.best_ppm, counts(terms) ? reached : terms.bestPpm);
    this.expect(event.batch, "the sum of its shares", sum(record.scores.map((score) => score.share_ppm)), counts(terms) ? PPM : 0n);
    const forfeited = sum(record.scores.map((score) => this.checkScore(score, total)));
    this.expect(event.batch, "what it paid in all", event.paid, sum(record.scores.map((score) => score.payout)));
    this.expect(event.batch, "what it took of bonds", event.forfeited, forfeited);
    this.expect(event.batch, "the bounty afterwards", event.bounty, record.bountyBefore + forfeited);
    const published = event.model === NO_MODEL ? 0n : 1n;
    this.expect(event.batch, "the model's version afterwards", event.version, record.versionBefore + published);
  }

  /** Checks one gradient's payment; answers with the bond it lost. */
  private checkScore(score: Score, total: bigint): bigint {
    const expected = sharePayout(total, score.share_ppm);
    const { batch, gradient, miner, reason } = score;
    this.payouts.push({ batch, gradient, miner, sharePpm: score.share_ppm, reason, paid: score.payout, expected });
    this.expect(batch, `the payout of gradient ${gradient}`, score.payout, expected);
    const loses = losesBond(Number(reason));
    this.expect(batch, `the bond given back for gradient ${gradient}`, score.bond_returned, loses ? 0n : this.terms.bond);
    if (reason !== 0n) this.expect(batch, `the share of rejected gradient ${gradient}`, score.share_ppm, 0n);
    return loses ? this.terms.bond : 0n;
  }

  private async readReceipt(record: BatchRecord): Promise<ReceiptManifest | undefined> {
    try {
      const data = await this.store.getBlock(cidOfDigest(record.event.receipt));
      const receipt = decodeManifest(data, "openmined/receipt@1");
      this.receipts += 1;
      return receipt;
    } catch (error) {
      this.find(record.event.batch, `its receipt cannot be read: ${textOf(error)}`);
      return undefined;
    }
  }

  private checkReceipt(record: BatchRecord, receipt: ReceiptManifest): void {
    const { event } = record;
    const wanted: readonly (readonly [string, Plain, Plain])[] = [
      ["chain", receipt.chain.chain_id, this.place.chainId],
      ["contract", receipt.chain.sonar.toLowerCase(), this.place.contract.toLowerCase()],
      ["campaign", receipt.campaign, event.campaign],
      ["batch", receipt.batch, event.batch],
      ["accuracy", receipt.accuracy_after_ppm, event.accuracy_ppm],
      ["accuracy before", receipt.accuracy_before_ppm, record.bestBeforePpm],
      ["parent model", receipt.parent_model, record.modelBefore.slice(2)],
      ["model", receipt.model ?? "none", event.model === NO_MODEL ? "none" : event.model.slice(2)],
    ];
    for (const [what, found, follows] of wanted) this.expect(event.batch, `the receipt's ${what}`, found, follows);
    this.validation ??= receipt.validation;
    this.expect(event.batch, "the receipt's validation set", receipt.validation, this.validation);
  }

  private checkEntries(record: BatchRecord, receipt: ReceiptManifest): void {
    const batch = record.event.batch;
    const entries = new Map(receipt.entries.map((entry) => [BigInt(entry.gradient), entry]));
    const scores = new Map(record.scores.map((score) => [score.gradient, score]));
    this.expect(batch, "the receipt's gradients", numbers(entries.keys()), numbers(scores.keys()));
    this.expect(batch, "how often gradients are named", receipt.entries.length, entries.size);
    for (const [number, entry] of entries) {
      const score = scores.get(number);
      if (!score) continue;
      const what = `in the receipt gradient ${number}'s`;
      this.expect(batch, `${what} share`, entry.share_ppm, score.share_ppm);
      this.expect(batch, `${what} reason`, entry.reason, score.reason);
      this.expect(batch, `${what} miner`, entry.miner.toLowerCase(), score.miner.toLowerCase());
      const submitted = this.history.gradients.get(number);
      if (!submitted) continue;
      this.expect(batch, `${what} envelope`, entry.envelope, submitted.envelope.slice(2));
      this.expect(batch, `${what} version`, entry.version, submitted.version);
    }
  }

  /** Compares the fold of all events with the contract's own state, and the end with both. */
  checkEnd(state: ContractState): void {
    const { history } = this;
    const wanted: readonly (readonly [string, Plain, Plain])[] = [
      ["the phase by the events", history.phase, state.phase],
      ["the bounty by the events", history.bounty, state.bounty],
      ["what was paid by the events", paidBy(history), state.paid],
      ["the best accuracy by the events", history.bestPpm, state.bestPpm],
      ["the gradients by the events", history.gradients.size, state.gradients],
      ["the batches by the events", history.batches.length, state.batches],
    ];
    for (const [what, found, follows] of wanted) this.expect(undefined, what, found, follows);
    if (!["delivered", "rejected", "cancelled", "expired"].includes(history.phase)) return;
    const fee = history.phase === "delivered" ? this.terms.fee : 0n;
    this.expect(undefined, "Capsule's fee", history.fee, fee);
    this.expect(undefined, "the refund", history.refund, history.bounty - paidBy(history) - fee);
  }
}

type Plain = bigint | number | string;

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

function numbers(keys: Iterable<bigint>): string {
  return [...keys].sort((a, b) => (a < b ? -1 : 1)).join(", ");
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}

function shown(value: Plain): string {
  const text = String(value);
  return text.length <= 72 ? text : `${text.slice(0, 69)}...`;
}
