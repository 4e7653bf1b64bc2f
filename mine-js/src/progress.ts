/** Progress: one JSON object a line, to logs/mine.jsonl and whoever listens. Never a secret. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { dumpJson, nowText } from "./text.ts";

const MAX_LOG_BYTES = 32 << 20;

export type Listener = (line: string) => void;

export class ProgressLog {
  readonly #mine: string;
  readonly #listener: Listener | undefined;
  readonly #file: number;

  constructor(path: string, mine: string, listener?: Listener) {
    this.#mine = mine;
    this.#listener = listener;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (existsSync(path) && statSync(path).size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
    this.#file = openSync(path, "a", 0o600);
  }

  /** Write one line. Facts are numbers, short texts, booleans or lists of these. */
  say(step: string, facts: Record<string, unknown> = {}): void {
    const line = dumpJson({ at: nowText(), mine: this.#mine, step, ...facts });
    try {
      writeSync(this.#file, `${line}\n`);
    } catch {
      // A full disk must not stop the mine from following what it has sent.
    }
    this.#listener?.(line);
  }

  close(): void {
    closeSync(this.#file);
  }
}
