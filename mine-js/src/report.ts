/**
 * Opt-in reporting: how many rows of each published schema are offered. Never a row, never a name.
 *
 * Off unless `[reporting] enabled = true`; datasets that are denied to everybody, and those without a
 * published schema, are not counted. One report a day, a correction when counts change, signed by
 * the wallet (EIP-712).
 */
import { type Dataset, listDatasets, rowsOf } from "./datasets.ts";
import { type MineSettings, permissionOf } from "./settings.ts";
import { byCodePoint, dumpJson } from "./text.ts";
import type { World } from "./work.ts";

const DAY_S = 86_400;
const MAX_SEQUENCE = 24;
const MAX_RECORDS = 64;
const TIMEOUT_MS = 5000;
const SOFTWARE = "openmined mine.js 0.1.0";
const TYPES = {
  Records: [
    { name: "schema", type: "string" },
    { name: "count", type: "uint64" },
  ],
  UsageReport: [
    { name: "miner", type: "address" },
    { name: "day", type: "uint64" },
    { name: "sequence", type: "uint64" },
    { name: "software", type: "string" },
    { name: "records", type: "Records[]" },
  ],
} as const;

interface Said {
  day: number;
  sequence: number;
  counts: Record<string, number>;
}

/** Return rows by published schema, of datasets that some campaign may use. */
export function countRows(datasets: readonly Dataset[], settings: MineSettings): Record<string, number> {
  const counts = new Map<string, number>();
  for (const dataset of datasets) {
    const { id } = dataset.schema;
    if (!id || permissionOf(settings, dataset.name).mode === "deny") continue;
    counts.set(id, (counts.get(id) ?? 0) + rowsOf(dataset));
  }
  const sorted = [...counts].sort(([a], [b]) => byCodePoint(a, b)).slice(0, MAX_RECORDS);
  return Object.fromEntries(sorted.filter(([, rows]) => rows > 0));
}

/** Reports when the owner allows it, at most once an interval. */
export class Reporter {
  readonly #world: World;
  #next = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Send what is new; a failure is a log line and another try next time. */
  async report(): Promise<void> {
    const { settings, folder, ledger, log } = this.#world;
    const { enabled, url, interval_s } = settings.reporting;
    const now = Date.now() / 1000;
    if (!enabled || url === null || now < this.#next) return;
    this.#next = now + interval_s;
    const counts = countRows(listDatasets(folder), settings);
    const day = Math.floor(now / DAY_S);
    const before = JSON.parse(ledger.meta("report") ?? "{}") as Partial<Said>;
    if (!this.#hasSubmitted() || says(before, day, counts)) return;
    const sequence = before.day === day ? (before.sequence ?? 0) + 1 : 1;
    if (sequence > MAX_SEQUENCE || !(await this.#send(url, day, sequence, counts))) return;
    ledger.setMeta("report", dumpJson({ day, sequence, counts }));
    log.say("reported", { day, schemas: Object.keys(counts).length });
  }

  #hasSubmitted(): boolean {
    // Before its first gradient nobody knows of a mine; a report would tell.
    const done = this.#world.ledger.submissions();
    return done.some((s) => s.step === "submitted" || s.step === "outcome");
  }

  async #send(url: string, day: number, sequence: number, counts: Record<string, number>): Promise<boolean> {
    const { contract, secrets, log } = this.#world;
    const sonar = contract.address.toLowerCase() as `0x${string}`;
    const miner = secrets.wallet.address.toLowerCase() as `0x${string}`;
    const records = Object.entries(counts).map(([schema, count]) => ({ schema, count }));
    const signature = await secrets.wallet.signTypedData({
      types: TYPES,
      primaryType: "UsageReport",
      domain: {
        name: "OpenMined usage report",
        version: "1",
        chainId: contract.chainId,
        verifyingContract: sonar,
      },
      message: {
        miner,
        day: BigInt(day),
        sequence: BigInt(sequence),
        software: SOFTWARE,
        records: records.map(({ schema, count }) => ({ schema, count: BigInt(count) })),
      },
    });
    const report = { chain_id: contract.chainId, sonar, miner, day, sequence, software: SOFTWARE, records };
    try {
      const answer = await fetch(`${url.replace(/\/+$/, "")}/v1/reports`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ report, signature }),
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (answer.status === 200 || answer.status === 409) return true;
      log.say("problem", { text: `the report was refused: status ${answer.status}` });
    } catch (error) {
      log.say("problem", { text: `the report could not be sent: ${(error as Error).name}` });
    }
    return false;
  }
}

function says(before: Partial<Said>, day: number, counts: Record<string, number>): boolean {
  const sorted = (value: Record<string, number>) => JSON.stringify(Object.entries(value).sort());
  return before.day === day && sorted(before.counts ?? {}) === sorted(counts);
}
