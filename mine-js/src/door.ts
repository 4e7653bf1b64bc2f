/**
 * The door to the `openmined` command: Syft's training and the adapters, in a Python process.
 *
 * Messages are four bytes of length and a DAG-CBOR map, both ways, on the child's pipes. The child is
 * started when it is first needed, kept for a while between two requests, and killed to cancel.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { accessSync, constants, existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { decode, encode } from "@ipld/dag-cbor";
import * as errors from "./errors.ts";

const KEPT_MS = 20_000;
const MAX_MESSAGE_BYTES = 2 ** 31;

/** The work was ended because the mine stops: nothing failed, the next start goes on. */
export class Cancelled extends errors.MineError {}

export type Tell = (part: string, done: number, of: number) => void;
type Child = ChildProcessByStdio<Writable, Readable, null>;

interface Waiting {
  resolve: (value: Record<string, unknown>) => void;
  reject: (error: Error) => void;
  tell: Tell;
}

interface Message {
  progress?: [string, number, number];
  answer?: Record<string, unknown>;
  error?: string;
  text?: string;
}

export class Door {
  #child: Child | undefined;
  #waiting: Waiting | undefined;
  #received: Buffer[] = [];
  #size = 0;
  #idle: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Ask the command for something; requests wait for each other. */
  async ask(
    request: Record<string, unknown>,
    tell: Tell = () => undefined,
  ): Promise<Record<string, unknown>> {
    const before = this.#turn;
    const work = (async () => {
      await before.catch(() => undefined);
      return this.#ask(request, tell);
    })();
    this.#turn = work;
    return work;
  }

  /** End the child for good, whatever it does: what waits for it fails, and so does what comes later. */
  close(): void {
    this.#closed = true;
    this.#end(new Cancelled("the mine was stopped while it trained"));
  }

  #end(cause: Error): void {
    clearTimeout(this.#idle);
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
    this.#waiting?.reject(cause);
  }

  #ask(request: Record<string, unknown>, tell: Tell): Promise<Record<string, unknown>> {
    clearTimeout(this.#idle);
    if (this.#closed) return Promise.reject(new Cancelled("the mine is being stopped"));
    const child = this.#open();
    return new Promise<Record<string, unknown>>((resolve, reject) => {
      this.#waiting = { resolve, reject, tell };
      const data = encode(request);
      const head = Buffer.alloc(4);
      head.writeUInt32BE(data.length);
      child.stdin.write(head);
      child.stdin.write(data);
    }).finally(() => {
      this.#waiting = undefined;
      this.#idle = setTimeout(() => this.#dismiss(), KEPT_MS);
      this.#idle.unref();
    });
  }

  /** Let the child end by itself. It takes a moment to: who asks meanwhile gets a new one. */
  #dismiss(): void {
    this.#child?.stdin.end();
    this.#child = undefined;
  }

  #open(): Child {
    if (this.#child !== undefined) return this.#child;
    const threads = { OPENBLAS_NUM_THREADS: "1", OMP_NUM_THREADS: "1", MKL_NUM_THREADS: "1" };
    const child = spawn(findPython(), ["-m", "openmined.mine._door"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...threads, ...process.env },
    });
    this.#child = child;
    this.#received = [];
    this.#size = 0;
    child.stdout.on("data", (piece: Buffer) => {
      if (child === this.#child) this.#take(piece);
    });
    child.stdin.on("error", () => undefined);
    child.on("error", (error) => this.#ended(error.message, child));
    child.on("exit", (code, signal) => this.#ended(`status ${signal ?? code}`, child));
    return child;
  }

  #take(piece: Buffer): void {
    this.#received.push(piece);
    this.#size += piece.length;
    // Answers are megabytes in pieces of 64 KiB: joined once they are whole.
    for (;;) {
      if (this.#size < 4) return;
      if ((this.#received[0]?.length ?? 0) < 4) this.#received = [Buffer.concat(this.#received)];
      const length = this.#received[0]?.readUInt32BE(0) ?? 0;
      if (length > MAX_MESSAGE_BYTES) {
        const text = `training did not finish: an answer of ${length} bytes is refused`;
        this.#end(new errors.TrainingFailed(text));
        return;
      }
      if (this.#size < 4 + length) return;
      const whole = Buffer.concat(this.#received);
      this.#received = [whole.subarray(4 + length)];
      this.#size -= 4 + length;
      this.#hear(decode<Message>(whole.subarray(4, 4 + length)));
    }
  }

  #hear(message: Message): void {
    if (message.progress !== undefined) this.#waiting?.tell(...message.progress);
    else if (message.error !== undefined) {
      this.#waiting?.reject(errorOf(message.error, message.text ?? ""));
    } else this.#waiting?.resolve(message.answer ?? {});
  }

  #ended(how: string, child = this.#child): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    const text = `training did not finish: the openmined process ended (${how})`;
    this.#waiting?.reject(new errors.TrainingFailed(text));
  }
}

function errorOf(name: string, text: string): Error {
  const kind = (errors as unknown as Record<string, new (text: string) => Error>)[name];
  return typeof kind === "function" && name !== "textOf" ? new kind(text) : new Foreign(name, text);
}

/** A foreseen failure of another package over there; it keeps its name. */
export class Foreign extends errors.OpenMinedError {
  readonly #name: string;

  constructor(name: string, text: string) {
    super(text);
    this.#name = name;
  }

  override get name(): string {
    return this.#name;
  }
}

/** Find the Python that has openmined: named, beside the command on PATH, or the repository's own. */
export function findPython(): string {
  const named = process.env.OPENMINED_PYTHON;
  if (named) return named;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const command = join(folder, "openmined");
    if (!isProgram(command)) continue;
    const beside = join(dirname(realpathSync(command)), "python");
    if (isProgram(beside)) return beside;
  }
  let folder = dirname(fileURLToPath(import.meta.url));
  while (folder !== dirname(folder)) {
    const own = join(folder, ".venv", "bin", "python");
    if (isProgram(own)) return own;
    folder = dirname(folder);
  }
  throw new errors.MineError(
    "the `openmined` command is not on PATH, and a mine needs it to train and to import: " +
      "install it (`pip install openmined`), or name its Python in OPENMINED_PYTHON",
  );
}

function isProgram(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
