/** An Ethereum node's HTTP JSON-RPC: faults that pass are retried, everything else is named. */
import { ChainError, RpcUnreachable, textOf, UndecodableAnswer } from "../errors.ts";
import { isObject } from "../text.ts";
import {
  type Block,
  type Hex,
  type Receipt,
  readBlock,
  readCount,
  readData,
  readQuantity,
  readReceipt,
} from "./answers.ts";

const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504]);
const TOO_MANY = -32005;
const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 << 20;

/** The node answered a request with an error that is not a revert. */
export class RpcRefused extends ChainError {
  readonly code: number;
  readonly said: string;
  readonly data: `0x${string}`;

  constructor(method: string, code: number, message: string, data: `0x${string}` = "0x") {
    const said = shorten(message);
    super(`the node refused ${method} with code ${code}: ${said}`);
    this.code = code;
    this.said = said;
    this.data = data;
  }
}

class Passing extends Error {}

export class Rpc {
  readonly url: string;
  readonly #retryMs: number;
  #next = 1;

  constructor(url: string, retryS = 10) {
    this.url = url;
    this.#retryMs = retryS * 1000;
  }

  /** Ask the node; network faults, overload and rate limits are retried with backoff. */
  async call<T = string>(method: string, ...params: unknown[]): Promise<T> {
    const body = JSON.stringify({ jsonrpc: "2.0", id: this.#next++, method, params });
    const giveUp = performance.now() + this.#retryMs;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return (await this.#once(method, body)) as T;
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        const pause = Math.min(2000, 100 * 2 ** attempt) * (0.5 + Math.random() / 2);
        if (performance.now() + pause >= giveUp) throw this.#unreachable(error.message);
        await new Promise((done) => setTimeout(done, pause));
      }
    }
  }

  /** Ask for a number. */
  async quantity(method: string, ...params: unknown[]): Promise<bigint> {
    return readQuantity(await this.call<unknown>(method, ...params), method);
  }

  /** Ask for a number that counts something. */
  async count(method: string, ...params: unknown[]): Promise<number> {
    return readCount(await this.call<unknown>(method, ...params), method);
  }

  /** Ask for bytes. */
  async data(method: string, ...params: unknown[]): Promise<Hex> {
    return readData(await this.call<unknown>(method, ...params), method);
  }

  /** Return a block by number; null if there is none. */
  async block(number: number): Promise<Block | null> {
    const method = "eth_getBlockByNumber";
    const found = await this.call<unknown>(method, `0x${number.toString(16)}`, false);
    return found === null ? null : readBlock(found, method);
  }

  /** Return the newest block. */
  async newest(): Promise<Block> {
    const method = "eth_getBlockByNumber";
    const found = await this.call<unknown>(method, "latest", false);
    if (found === null) {
      throw new UndecodableAnswer("the node has no newest block: use another node");
    }
    return readBlock(found, method);
  }

  /** Return the receipt of a transaction; null while it is not mined. */
  async receipt(transaction: string): Promise<Receipt | null> {
    const method = "eth_getTransactionReceipt";
    return readReceipt(await this.call<unknown>(method, transaction), method);
  }

  async #once(method: string, body: string): Promise<unknown> {
    const { status, text } = await this.#post(body);
    if (RETRIED.has(status)) throw new Passing(`HTTP status ${status}`);
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      answer = undefined;
    }
    if (!isObject(answer) || !("result" in answer || "error" in answer)) {
      throw this.#unreachable(`HTTP status ${status} and no JSON-RPC answer`);
    }
    const error = answer.error;
    if (error === null || error === undefined) return answer.result;
    throw refusal(method, error);
  }

  async #post(body: string): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of response.body ?? []) {
        size += part.length;
        if (size > MAX_ANSWER_BYTES) {
          throw this.#unreachable(`an answer above ${MAX_ANSWER_BYTES} bytes`);
        }
        parts.push(part);
      }
      return { status: response.status, text: Buffer.concat(parts).toString("utf8") };
    } catch (error) {
      if (error instanceof RpcUnreachable) throw error;
      throw new Passing(describe(error));
    }
  }

  #unreachable(cause: string): RpcUnreachable {
    return new RpcUnreachable(
      `no Ethereum node answers at ${redactUrl(this.url)} (${cause}): ` +
        "check that it runs and that the rpc_url of the network is right",
    );
  }
}

function describe(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "no answer in time";
  const cause = (error as { cause?: { code?: string } }).cause;
  return cause?.code === "ECONNREFUSED" ? "connection refused" : (cause?.code ?? textOf(error));
}

function refusal(method: string, error: unknown): Error {
  if (!isObject(error)) return new RpcRefused(method, 0, String(error));
  const code = typeof error.code === "number" ? error.code : 0;
  const message = String(error.message ?? "");
  // "Limit exceeded": too often, or of logs too many at once, which asking again does not cure.
  const often = method !== "eth_getLogs" || message.toLowerCase().includes("rate");
  if (code === TOO_MANY && often) return new Passing(message);
  // geth and anvil: data is hex text; hardhat: an object that holds it under `data`.
  let data: unknown = error.data;
  for (let depth = 0; depth < 3 && isObject(data); depth += 1) data = data.data ?? data.result;
  const hex = typeof data === "string" && /^0x([0-9a-fA-F]{2})*$/.test(data) ? data : "0x";
  return new RpcRefused(method, code, message, hex as `0x${string}`);
}

/** Cut a foreign text to a length that fits into a message, control characters replaced. */
export function shorten(text: string, limit = 300): string {
  const clean = [...text.slice(0, 4 * limit)]
    .slice(0, limit + 1)
    .map((letter) => (/[\p{C}\p{Zl}\p{Zp}]/u.test(letter) ? " " : letter))
    .join("");
  return [...clean].length <= limit ? clean : `${clean.slice(0, limit - 3)}...`;
}

/** Return the address without what may be a secret: user, query, long parts of the path. */
export function redactUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    const parts = pathname.split("/").map((part) => (part.length > 20 ? "..." : part));
    return `${protocol}//${host}${parts.join("/").replace(/\/$/, "")}`;
  } catch {
    return "(an address that is no URL)";
  }
}
