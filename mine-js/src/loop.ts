/**
 * The mine's loop: read the chain, follow what was sent, decide, train, submit. Nobody calls it.
 *
 * Each pass is safe to be killed in. What has to be waited for is written down with its reason and
 * tried again later; nothing but a stop ends the loop.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type CampaignView,
  concerns,
  foldEvents,
  hasEnded,
  type MyGradient,
  REASONS,
  STALE,
  withEnvelope,
} from "./campaigns.ts";
import { EventCursor } from "./chain/cursor.ts";
import { NotEnoughFunds, Reverted } from "./chain/sender.ts";
import { Foreign } from "./door.ts";
import {
  CampaignUnusable,
  ChainError,
  ClusterAway,
  DatasetDamaged,
  DiskFull,
  ManifestError,
  OpenMinedError,
  StorageError,
  TrainingFailed,
  TransactionError,
} from "./errors.ts";
import { Judge } from "./judge.ts";
import { isFinal, type Step, type Submission } from "./ledger.ts";
import { ETHER } from "./permissions.ts";
import { Reporter } from "./report.ts";
import { sortedTexts } from "./text.ts";
import { payOut } from "./withdraw.ts";
import { Worker, type World } from "./work.ts";

const RECHECK_MS = 15_000;
const DOUBT_MS = 5000;
const LOST_BONDS = 2;
const START_OVER: readonly Step[] = ["intended", "downloaded", "trained"];

export class MineLoop {
  readonly #world: World;
  readonly #cursor: EventCursor;
  readonly #judge: Judge;
  readonly #worker: Worker;
  readonly #reporter: Reporter;
  #views = new Map<number, CampaignView>();
  /** Whether every view was taken up; if not, the next look does it again. */
  #folded = false;
  /** When a campaign is to be looked at again. */
  readonly #due = new Map<number, number>();
  readonly #seen = new Set<string>();
  #head = "";
  #readTo = -1;
  #marks = "";
  #doubted = new Set<string>();
  #doubtAt = 0;
  #stop: AbortSignal | undefined;

  constructor(world: World) {
    this.#world = world;
    const { contract, ledger, settings } = world;
    this.#cursor = new EventCursor(contract, settings.network.from_block, ledger.cursor());
    this.#judge = new Judge(world);
    this.#worker = new Worker(world, () => this.#refresh());
    this.#reporter = new Reporter(world);
    this.#worker.tidy();
    this.#fold();
  }

  /** Work until it is stopped; failures of chain, store and disk are waited out. */
  async run(stop: AbortSignal): Promise<void> {
    let silentUntil = 0;
    while (!stop.aborted) {
      try {
        await this.runOnce(stop);
      } catch (error) {
        if (stop.aborted) break;
        if (!(error instanceof OpenMinedError || isSystemError(error))) throw error;
        if (performance.now() >= silentUntil) {
          this.#world.log.say("problem", { text: (error as Error).message });
          silentUntil = performance.now() + this.#retryMs;
        }
      }
      await pause(this.#world.settings.loop.poll_interval_s * 1000, stop);
    }
  }

  /** One pass: read, follow, decide, work. */
  async runOnce(stop?: AbortSignal): Promise<void> {
    this.#stop = stop;
    const { ledger, contract, secrets, log } = this.#world;
    this.#noticeChanges();
    await this.#readChain();
    if (performance.now() >= this.#doubtAt) {
      this.#doubtAt = performance.now() + Math.min(DOUBT_MS, this.#retryMs);
      this.#findLost();
    }
    await this.#reporter.report();
    await payOut(ledger, contract, secrets.wallet.address, log);
    for (const number of [...this.#views.keys()]) {
      if (stop?.aborted) return;
      const view = this.#views.get(number);
      if (view !== undefined && performance.now() >= (this.#due.get(number) ?? 0)) {
        this.#due.set(number, performance.now() + RECHECK_MS);
        await this.#lookAfter(view);
      }
    }
  }

  get #retryMs(): number {
    return this.#world.settings.loop.retry_s * 1000;
  }

  // --- what changed ---

  /** Take up edits of mine.toml, new datasets, and the owner's answers at once. */
  #noticeChanges(): void {
    const { folder, ledger } = this.#world;
    const marks = [
      modified(join(folder.path, "mine.toml")),
      modified(folder.datasets),
      ...sortedTexts(readdirSync(folder.datasets)).map((name) =>
        modified(join(folder.datasets, name, "dataset.json")),
      ),
      ledger.changes(),
    ].join();
    if (marks === this.#marks) return;
    this.#marks = marks;
    this.#world.settings = folder.settings();
    this.#due.clear();
  }

  async #readChain(): Promise<void> {
    const { number, hash } = await this.#world.contract.head();
    if (`${number} ${hash}` === this.#head) return;
    await this.#refresh();
    // After a long absence one look does not reach the newest block: look again at once.
    this.#head = this.#readTo >= number ? `${number} ${hash}` : "";
  }

  async #refresh(): Promise<Map<number, CampaignView>> {
    const { ledger, secrets, log } = this.#world;
    const poll = await this.#cursor.poll();
    const events = poll.events.filter((event) => concerns(event, secrets.wallet.address));
    ledger.applyPoll(events, poll.rolledBackTo, poll.state);
    this.#cursor.accept(poll);
    this.#readTo = poll.readTo;
    if (poll.rolledBackTo !== null) log.say("reorganised", { to_block: poll.rolledBackTo });
    if (poll.events.length > 0 || poll.rolledBackTo !== null || !this.#folded) this.#fold();
    if (poll.rolledBackTo !== null) this.#findLost(true);
    return this.#views;
  }

  #fold(): void {
    const before = this.#views;
    this.#folded = false;
    try {
      this.#takeUp(before);
    } catch (error) {
      // What was not written down (a full disk) is seen as new again.
      this.#views = before;
      throw error;
    }
    this.#folded = true;
  }

  #takeUp(before: Map<number, CampaignView>): void {
    this.#views = foldEvents(this.#world.ledger.events(), this.#world.secrets.wallet.address);
    for (const [number, view] of this.#views) {
      const known = before.get(number);
      if (known?.spec !== view.spec && this.#world.ledger.rememberCampaign(number, view.spec)) {
        this.#world.log.say("reorganised", { campaign: number });
      }
      if (known !== undefined && fingerprint(known) === fingerprint(view)) continue;
      this.#due.delete(number);
      this.#reconcile(view);
      const mark = `${number} ${view.version}`;
      if (view.phase === "open" && !this.#seen.has(mark)) {
        this.#seen.add(mark);
        const { version, best_ppm } = view;
        this.#world.log.say("seen", { campaign: number, version, best_ppm });
        this.#world.atStep("seen");
      }
    }
  }

  // --- what was sent ---

  /** Make the ledger agree with the chain about this mine's gradients. */
  #reconcile(view: CampaignView): void {
    for (const gradient of view.mine) {
      let submission = this.#findSubmission(view, gradient);
      if (submission.step !== "submitted" && submission.step !== "outcome") {
        submission = this.#worker.submitted(submission, gradient.gradient, gradient.tx);
      }
      if (gradient.status !== "pending" && submission.step !== "outcome") {
        this.#recordOutcome(submission, gradient);
      } else if (gradient.status === "pending" && submission.step === "outcome") {
        this.#worker.submitted(submission, gradient.gradient, gradient.tx);
      }
    }
  }

  /**
   * Doubt what was submitted and the chain does not show: twice in a row, or at once. Doubting is
   * safe: sending again takes the nonce that the lost transaction had.
   */
  #findLost(atOnce = false): void {
    const missing = new Set<string>();
    for (const { campaign, version, step, envelope } of this.#world.ledger.submissions()) {
      const view = this.#views.get(campaign);
      const onChain = step === "submitted" || step === "outcome";
      if (!onChain || view === undefined || withEnvelope(view, envelope ?? "") !== undefined) continue;
      const mark = `${campaign} ${version}`;
      missing.add(mark);
      if (atOnce || this.#doubted.has(mark)) {
        this.#world.ledger.advance(campaign, version, "submitting");
        this.#due.delete(campaign);
      }
    }
    this.#doubted = missing;
  }

  #findSubmission(view: CampaignView, gradient: MyGradient): Submission {
    const { ledger } = this.#world;
    const known = ledger.submissions(view.campaign);
    const found =
      known.find((submission) => submission.envelope === gradient.envelope) ??
      known.find((submission) => submission.version === gradient.version);
    if (found !== undefined) return found;
    // The ledger is older than the chain (a backup): take over what the chain knows.
    ledger.claim(view.campaign, gradient.version, view.epoch, []);
    const facts = { envelope: gradient.envelope, left_mine: true, bond: view.bond };
    return ledger.advance(view.campaign, gradient.version, "submitting", facts);
  }

  #recordOutcome(submission: Submission, gradient: MyGradient): void {
    const { campaign, version } = submission;
    const { share_ppm, payout, bond_returned, reason, status } = gradient;
    const rejected = status === "rejected";
    const name = REASONS[reason] ?? String(reason);
    const problem = rejected ? `rejected: ${name}` : null;
    const facts = { share_ppm, payout, bond_returned, reason, problem };
    this.#world.ledger.advance(campaign, version, "outcome", facts);
    this.#world.log.say("outcome", {
      campaign,
      version,
      gradient: gradient.gradient,
      outcome: status,
      share_ppm,
      payout_wei: payout.toString(),
      reason: rejected ? name : "",
    });
    this.#world.atStep("outcome");
  }

  // --- what to do ---

  async #lookAfter(view: CampaignView): Promise<void> {
    const open = this.#world.ledger.submissions(view.campaign).filter((s) => !isFinal(s));
    if (hasEnded(view)) {
      for (const submission of open) {
        if (submission.step !== "submitted") await this.#worker.abandon(view, submission);
      }
      return;
    }
    if (view.phase !== "open") return;
    try {
      const [first] = open;
      if (first !== undefined) await this.#goOn(view, first);
      else if (await this.#mayBegin(view)) await this.#begin(view);
    } catch (error) {
      this.#waitOut(view, error);
    }
  }

  /** Turn failures that may pass into a decision to wait, and look again later. */
  #waitOut(view: CampaignView, error: unknown): void {
    const passing =
      error instanceof StorageError ||
      error instanceof TransactionError ||
      error instanceof ChainError ||
      error instanceof DiskFull ||
      error instanceof ClusterAway;
    if (!passing) throw error;
    this.#due.set(view.campaign, performance.now() + this.#retryMs);
    const code = error instanceof NotEnoughFunds ? "funds" : "waiting";
    this.#judge.note(view, "wait", code, error.message);
  }

  async #goOn(view: CampaignView, submission: Submission): Promise<void> {
    const { step } = submission;
    if (step === "submitted") return;
    if (step === "submitting") return this.#bringAgain(view, submission);
    if (!(await this.#stillOpen(view))) {
      this.#worker.fail(submission, "the campaign closed before it was submitted");
    } else if (START_OVER.includes(step) || !this.#worker.outboxHas(submission)) {
      await this.#startOver(view, submission);
    } else {
      await this.#work(view, () => this.#worker.bring(view, submission));
    }
  }

  async #bringAgain(view: CampaignView, submission: Submission): Promise<void> {
    this.#due.set(view.campaign, performance.now() + Math.min(1000, this.#retryMs));
    await this.#work(view, () => this.#worker.bring(view, submission));
    const found = this.#world.ledger.submission(submission.campaign, submission.version);
    if (found?.step === "submitting") {
      const text = "a transaction of this mine is under way: it may be the gradient's";
      this.#judge.note(view, "wait", "under-way", text);
    }
  }

  async #startOver(view: CampaignView, submission: Submission): Promise<void> {
    if (submission.version !== view.version) {
      this.#worker.fail(submission, `version ${view.version} came first`);
      this.#due.set(view.campaign, 0);
      return;
    }
    const job = await this.#judge.decide(view);
    if (job === null) this.#worker.fail(submission, "it is no longer permitted");
    else await this.#work(view, () => this.#worker.makeAgain(job, submission));
  }

  async #mayBegin(view: CampaignView): Promise<boolean> {
    if (!(await this.#stillOpen(view))) return false;
    const done = this.#world.ledger.submissions(view.campaign);
    if (done.some((submission) => submission.version === view.version)) return false;
    const problem = fruitless(done, this.#world.settings.loop.patience);
    if (problem !== "") this.#judge.note(view, "refuse", "fruitless", problem);
    return problem === "";
  }

  async #stillOpen(view: CampaignView): Promise<boolean> {
    if (view.phase !== "open" || view.best_ppm >= view.target_ppm) return false;
    return (await this.#world.contract.head()).timestamp < view.deadline;
  }

  async #begin(view: CampaignView): Promise<void> {
    const job = await this.#judge.decide(view);
    if (job === null) return;
    if ((await this.#world.contract.gradientCount(view.campaign)) >= view.max_gradients) {
      this.#judge.note(view, "refuse", "full", "the campaign takes no more gradients");
      return;
    }
    await this.#checkFunds(view);
    await this.#work(view, () => this.#worker.begin(job));
  }

  /** Find out before training whether the bond can be paid at all. */
  async #checkFunds(view: CampaignView): Promise<void> {
    const { address } = this.#world.secrets.wallet;
    const ether = view.token === ETHER;
    const have = await this.#world.contract.balance(address, view.token);
    const least = view.bond + (ether ? 1n : 0n);
    if (have < least) throw new NotEnoughFunds(least, have, address, ether ? null : view.token);
  }

  async #work(view: CampaignView, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // A signal to the whole group may end the training before the mine has heard of it.
      if (error instanceof TrainingFailed) await new Promise((done) => setImmediate(done));
      if (this.#stop?.aborted) throw error;
      if (error instanceof Reverted) {
        this.#giveUp(view, error.reason || error.message, "refused-by-contract");
      } else if (
        error instanceof CampaignUnusable ||
        error instanceof TrainingFailed ||
        error instanceof DatasetDamaged ||
        error instanceof ManifestError ||
        error instanceof Foreign
      ) {
        this.#giveUp(view, error.message, "unusable");
      } else throw error;
    }
  }

  #giveUp(view: CampaignView, problem: string, code: string): void {
    for (const submission of this.#world.ledger.submissions(view.campaign)) {
      if (!isFinal(submission) && submission.step !== "submitted") this.#worker.fail(submission, problem);
    }
    this.#judge.note(view, "refuse", code, problem);
  }
}

/** Say why a mine leaves a campaign alone, from its gradients so far; empty if it goes on. */
export function fruitless(done: readonly Submission[], patience: number): string {
  const tail = done.filter((s) => s.reason !== STALE).slice(-patience);
  if (tail.length === patience && !tail.some((s) => s.share_ppm)) {
    return `its last ${patience} gradients earned nothing`;
  }
  const lost = tail.slice(-LOST_BONDS).filter((s) => s.reason && s.reason < STALE);
  return lost.length === LOST_BONDS ? `its last ${LOST_BONDS} gradients lost their bonds` : "";
}

function fingerprint(view: CampaignView): string {
  return JSON.stringify(view, (_, value) => (typeof value === "bigint" ? value.toString() : value));
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

function modified(path: string): string {
  return String(statSync(path, { bigint: true, throwIfNoEntry: false })?.mtimeNs ?? 0n);
}

async function pause(ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  await new Promise<void>((done) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      stop.removeEventListener("abort", end);
      done();
    }
    stop.addEventListener("abort", end);
  });
}
