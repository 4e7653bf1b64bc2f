/**
 * The ledger: what the mine saw, decided, sent and earned. One SQLite file, written ahead (WAL).
 *
 * Its tables are documented in docs/mine-folder.md; Mine.py goes on with the same file.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { DiskFull, LedgerDamaged, textOf } from "./errors.ts";
import { LEDGER_VERSION, TABLES } from "./generated/ledger.ts";
import type { Answer, Cause, Decision, Verdict } from "./permissions.ts";
import { dumpJson, nowText } from "./text.ts";

/** The named steps of the work on one gradient; docs/mine-folder.md says what a kill at each does. */
export const SUBMISSION_STEPS = [
  "intended",
  "downloaded",
  "trained",
  "sealed",
  "uploaded",
  "submitting",
  "submitted",
  "outcome",
] as const;
export type Step = (typeof SUBMISSION_STEPS)[number] | "failed";

/** One event of the contract, as the ledger keeps it. */
export interface StoredEvent {
  block: number;
  log_index: number;
  block_hash: string;
  tx: string;
  name: string;
  campaign: number | null;
  arguments: Record<string, unknown>;
}

export interface DecisionRecord {
  id: number;
  at: string;
  campaign: number;
  dataset: string;
  verdict: Verdict;
  causes: Cause[];
  /** The owner's latest word on the same campaign and dataset. */
  answer: Answer;
}

/** Whether the owner was asked and has said nothing yet. */
export function waitsForOwner({ verdict, answer }: DecisionRecord): boolean {
  return verdict === "ask" && answer === "none";
}

/** The work on one gradient: (campaign, version) is claimed once. */
export interface Submission {
  campaign: number;
  version: number;
  step: Step;
  at: string;
  datasets: string[];
  epoch: number;
  left_mine: boolean;
  samples: number | null;
  envelope: string | null;
  nonce: number | null;
  tx: string | null;
  gradient: number | null;
  bond: bigint | null;
  share_ppm: number | null;
  payout: bigint | null;
  bond_returned: bigint | null;
  reason: number | null;
  problem: string | null;
}

export type Facts = Partial<
  Pick<
    Submission,
    | "datasets"
    | "samples"
    | "envelope"
    | "nonce"
    | "tx"
    | "gradient"
    | "bond"
    | "share_ppm"
    | "payout"
    | "bond_returned"
    | "reason"
    | "problem"
    | "left_mine"
  >
>;

export interface Withdrawal {
  id: number;
  at: string;
  token: string;
  state: "asked" | "sending" | "done" | "failed";
  amount: bigint | null;
  tx: string | null;
  problem: string | null;
}

type Row = Record<string, SQLInputValue>;

export function isFinal(submission: Submission): boolean {
  return submission.step === "outcome" || submission.step === "failed";
}

/** A connection to the ledger. Each process opens its own. */
export class Ledger {
  readonly path: string;
  readonly #db: DatabaseSync;

  constructor(path: string, create = false) {
    this.path = path;
    if (!create && !existsSync(path)) {
      throw new LedgerDamaged(`${path} is missing: restore it with \`openmined mine restore\``);
    }
    const [db, version] = this.#guard(() => {
      const opened = new DatabaseSync(path);
      opened.exec("PRAGMA busy_timeout = 20000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
      let found = Number(opened.prepare("PRAGMA user_version").get()?.user_version);
      if (found === 0 && create) {
        opened.exec(`BEGIN; ${TABLES} PRAGMA user_version = 1; COMMIT;`);
        found = LEDGER_VERSION;
      }
      return [opened, found] as const;
    });
    this.#db = db;
    if (version !== LEDGER_VERSION) {
      db.close();
      throw new LedgerDamaged(
        `${path} is of version ${version}, this software reads ${LEDGER_VERSION}: ` +
          "update openmined, or restore the ledger from a backup",
      );
    }
  }

  close(): void {
    this.#db.close();
  }

  /** Look the whole file over. */
  check(): void {
    const found = this.#one("PRAGMA quick_check(1)")?.quick_check;
    if (found !== "ok") {
      throw new LedgerDamaged(`${this.path} is damaged (${found}): restore it from a backup`);
    }
  }

  /** Return a number that changes when another connection wrote to the ledger. */
  changes(): number {
    return Number(this.#one("PRAGMA data_version")?.data_version ?? 0);
  }

  // --- the chain ---

  cursor(): string | null {
    return this.meta("cursor");
  }

  /** Return a fact noted by name. */
  meta(key: string): string | null {
    const found = this.#one("SELECT value FROM meta WHERE key = ?", key)?.value;
    return typeof found === "string" ? found : null;
  }

  setMeta(key: string, value: string): void {
    this.#write("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value);
  }

  /** Store what one look at the chain brought, with the cursor, in one transaction. */
  applyPoll(events: readonly StoredEvent[], rolledBackTo: number | null, cursor: string): void {
    this.#transaction(() => {
      if (rolledBackTo !== null) {
        this.#db.prepare("DELETE FROM events WHERE block > ?").run(rolledBackTo);
      }
      const insert = this.#db.prepare("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)");
      for (const e of events) {
        insert.run(e.block, e.log_index, e.block_hash, e.tx, e.name, e.campaign, dumpJson(e.arguments));
      }
      this.#db.prepare("INSERT OR REPLACE INTO meta VALUES ('cursor', ?)").run(cursor);
    });
  }

  events(): StoredEvent[] {
    return this.#all("SELECT * FROM events ORDER BY block, log_index").map(
      (row) => ({ ...row, arguments: JSON.parse(String(row.arguments)) }) as unknown as StoredEvent,
    );
  }

  // --- decisions ---

  /** Write a decision down, unless the last one on the pair says the same. */
  recordDecision(campaign: number, dataset: string, decision: Decision): boolean {
    const causes = dumpJson(decision.causes.map(({ code, text }) => ({ code, text })));
    const last = this.#one(
      "SELECT verdict, causes FROM decisions WHERE campaign = ? AND dataset = ? ORDER BY id DESC LIMIT 1",
      campaign,
      dataset,
    );
    if (last?.verdict === decision.verdict && last.causes === causes) return false;
    this.#write(
      "INSERT INTO decisions (at, campaign, dataset, verdict, causes) VALUES (?, ?, ?, ?, ?)",
      nowText(),
      campaign,
      dataset,
      decision.verdict,
      causes,
    );
    return true;
  }

  /** Return decisions, the newest first; `latest` keeps one per campaign and dataset. */
  decisions(latest = false, limit = 1000): DecisionRecord[] {
    const inner = "SELECT max(id) FROM decisions GROUP BY campaign, dataset";
    const where = latest ? `WHERE id IN (${inner})` : "";
    const rows = `SELECT decisions.*, coalesce(answer, 'none') AS answer
      FROM decisions LEFT JOIN answers USING (campaign, dataset) ${where} ORDER BY id DESC LIMIT ?`;
    return this.#all(rows, limit).map(
      (row) => ({ ...row, causes: JSON.parse(String(row.causes)) }) as unknown as DecisionRecord,
    );
  }

  /**
   * Remember which campaign has a number; tell whether it was another one before.
   *
   * A reorganisation can give a number to another campaign. What was decided, answered, sent and
   * charged for the former one is then kept under a negative number: an approval must not pass from
   * one campaign to another.
   */
  rememberCampaign(campaign: number, spec: string): boolean {
    return this.#transaction(() => {
      const known = this.#db.prepare("SELECT spec FROM campaigns WHERE campaign = ?").get(campaign);
      const replaced = known !== undefined && known.spec !== spec;
      if (replaced) this.#retire(campaign);
      this.#db.prepare("INSERT OR IGNORE INTO campaigns (campaign, spec) VALUES (?, ?)").run(campaign, spec);
      return replaced;
    });
  }

  #retire(campaign: number): void {
    const low = Number(this.#db.prepare("SELECT min(campaign) AS low FROM campaigns").get()?.low);
    const retired = Math.min(low, 0) - 1;
    for (const table of ["campaigns", "decisions", "answers", "submissions", "privacy"]) {
      this.#db.prepare(`UPDATE ${table} SET campaign = ? WHERE campaign = ?`).run(retired, campaign);
    }
    this.#db
      .prepare(
        "UPDATE submissions SET step = 'failed', problem = 'a reorganisation took the campaign' " +
          "WHERE campaign = ? AND step NOT IN ('outcome', 'failed')",
      )
      .run(retired);
  }

  noteTitle(campaign: number, title: string): void {
    this.#write("UPDATE campaigns SET title = ? WHERE campaign = ?", title, campaign);
  }

  titles(): Map<number, string> {
    const rows = this.#all("SELECT campaign, title FROM campaigns WHERE title IS NOT NULL");
    return new Map(rows.map((row) => [Number(row.campaign), String(row.title)]));
  }

  giveAnswer(campaign: number, dataset: string, answer: Answer): void {
    this.#write("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", campaign, dataset, answer, nowText());
  }

  answer(campaign: number, dataset: string): Answer {
    const query = "SELECT answer FROM answers WHERE campaign = ? AND dataset = ?";
    return (this.#one(query, campaign, dataset)?.answer as Answer | undefined) ?? "none";
  }

  // --- submissions ---

  /** Claim a campaign's version for one gradient: the intent before anything else. */
  claim(campaign: number, version: number, epoch: number, datasets: readonly string[]): Submission {
    this.#write(
      "INSERT INTO submissions (campaign, version, step, at, datasets, epoch) VALUES (?, ?, 'intended', ?, ?, ?)",
      campaign,
      version,
      nowText(),
      dumpJson(datasets),
      epoch,
    );
    return this.#known(campaign, version);
  }

  /** Write down the next step of a submission, with what is known by then. */
  advance(campaign: number, version: number, step: Step, facts: Facts = {}): Submission {
    const values: Row = { step, at: nowText() };
    for (const [name, fact] of Object.entries(facts)) {
      if (typeof fact === "bigint") values[name] = fact.toString();
      else if (Array.isArray(fact)) values[name] = dumpJson(fact);
      else values[name] = typeof fact === "boolean" ? Number(fact) : (fact ?? null);
    }
    const columns = Object.keys(values)
      .map((name) => `${name} = ?`)
      .join(", ");
    this.#write(
      `UPDATE submissions SET ${columns} WHERE campaign = ? AND version = ?`,
      ...Object.values(values),
      campaign,
      version,
    );
    return this.#known(campaign, version);
  }

  submission(campaign: number, version: number): Submission | null {
    const query = "SELECT * FROM submissions WHERE campaign = ? AND version = ?";
    const row = this.#one(query, campaign, version);
    return row === undefined ? null : asSubmission(row);
  }

  submissions(campaign?: number): Submission[] {
    const order = "ORDER BY campaign, version";
    const rows =
      campaign === undefined
        ? this.#all(`SELECT * FROM submissions ${order}`)
        : this.#all(`SELECT * FROM submissions WHERE campaign = ? ${order}`, campaign);
    return rows.map(asSubmission);
  }

  /** Count the gradients of a dataset that have left, or were about to leave, the mine. */
  rounds(campaign: number, dataset: string): number {
    return this.submissions(campaign).filter((s) => s.left_mine && s.datasets.includes(dataset)).length;
  }

  // --- privacy ---

  /** Charge a campaign's release to a dataset; a second time it changes nothing. */
  chargePrivacy(dataset: string, campaign: number, epsilon: number, delta: number): void {
    const query = "INSERT OR IGNORE INTO privacy VALUES (?, ?, ?, ?, ?)";
    this.#write(query, dataset, campaign, epsilon, delta, nowText());
  }

  epsilonSpent(dataset: string): number {
    const query = "SELECT total(epsilon) AS spent FROM privacy WHERE dataset = ?";
    return Number(this.#one(query, dataset)?.spent ?? 0);
  }

  privacyPaid(dataset: string, campaign: number): boolean {
    const query = "SELECT 1 AS paid FROM privacy WHERE dataset = ? AND campaign = ?";
    return this.#one(query, dataset, campaign) !== undefined;
  }

  // --- withdrawals ---

  /** Ask the running mine to be paid out in a token; an open request is returned as it is. */
  askWithdrawal(token: string): Withdrawal {
    return this.#transaction(() => {
      const open = this.#db
        .prepare("SELECT * FROM withdrawals WHERE token = ? AND state IN ('asked', 'sending')")
        .get(token);
      if (open !== undefined) return asWithdrawal(open as Row);
      const insert = "INSERT INTO withdrawals (at, token, state) VALUES (?, ?, 'asked')";
      const done = this.#db.prepare(insert).run(nowText(), token);
      const query = "SELECT * FROM withdrawals WHERE id = ?";
      return asWithdrawal(this.#db.prepare(query).get(done.lastInsertRowid) as Row);
    });
  }

  updateWithdrawal(
    id: number,
    state: Withdrawal["state"],
    facts: Partial<Pick<Withdrawal, "amount" | "tx" | "problem">> = {},
  ): void {
    const values: Row = { state };
    for (const [name, fact] of Object.entries(facts)) {
      values[name] = typeof fact === "bigint" ? fact.toString() : (fact ?? null);
    }
    const columns = Object.keys(values)
      .map((name) => `${name} = ?`)
      .join(", ");
    this.#write(`UPDATE withdrawals SET ${columns} WHERE id = ?`, ...Object.values(values), id);
  }

  withdrawals(): Withdrawal[] {
    return this.#all("SELECT * FROM withdrawals ORDER BY id DESC").map(asWithdrawal);
  }

  // --- SQLite ---

  #known(campaign: number, version: number): Submission {
    const found = this.submission(campaign, version);
    if (found === null) throw new LedgerDamaged(`${this.path} lost campaign ${campaign}`);
    return found;
  }

  #one(query: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#guard(() => this.#db.prepare(query).get(...values) as Row | undefined);
  }

  #all(query: string, ...values: SQLInputValue[]): Row[] {
    return this.#guard(() => this.#db.prepare(query).all(...values) as Row[]);
  }

  #write(query: string, ...values: SQLInputValue[]): void {
    this.#guard(() => this.#db.prepare(query).run(...values));
  }

  #transaction<T>(work: () => T): T {
    return this.#guard(() => {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
        throw error;
      }
    });
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const { code, errcode } = error as { code?: string; errcode?: number };
      if (code !== "ERR_SQLITE_ERROR") throw error;
      const primary = (errcode ?? 0) & 0xff;
      if (primary === 13) {
        throw new DiskFull(
          `the disk of ${dirname(this.path)} is full: free some space; the mine goes on where it stood`,
        );
      }
      if (primary === 11 || primary === 26) {
        throw new LedgerDamaged(
          `${this.path} is damaged (${textOf(error)}): restore it with \`openmined mine restore\``,
        );
      }
      throw new LedgerDamaged(`${this.path} cannot be used: ${textOf(error)}`);
    }
  }
}

function amount(value: SQLInputValue | undefined): bigint | null {
  return value === null || value === undefined ? null : BigInt(String(value));
}

function asSubmission(row: Row): Submission {
  return {
    ...(row as unknown as Submission),
    datasets: JSON.parse(String(row.datasets)) as string[],
    left_mine: Boolean(row.left_mine),
    bond: amount(row.bond),
    payout: amount(row.payout),
    bond_returned: amount(row.bond_returned),
  };
}

function asWithdrawal(row: Row): Withdrawal {
  return { ...(row as unknown as Withdrawal), amount: amount(row.amount) };
}
