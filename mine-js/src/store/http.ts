/** One base URL of a store: what passes is tried again, every status has its own error. */
import {
  BlobTooLarge,
  BlockNotFound,
  OpenMinedError,
  QuotaExceeded,
  StoreRefused,
  StoreUnreachable,
  systemTextOf,
  textOf,
} from "../errors.ts";

const ATTEMPTS = 4;
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5000;
const TIMEOUT_MS = 30_000;
const SLOWEST_BYTES_PER_S = 16 << 10;
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

class Passing extends Error {}

/** Ask a store; return the body, at most `limit` bytes. `request` is made anew for each attempt. */
export async function ask(
  url: string,
  path: string,
  request: () => RequestInit,
  limit: number,
  subject: string,
): Promise<Uint8Array> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(url, path, request(), limit, subject);
    } catch (error) {
      if (error instanceof OpenMinedError) throw error;
      if (attempt === ATTEMPTS) {
        throw new StoreUnreachable(
          `the store at ${url} does not give ${subject} (${reason(error)}) after ` +
            `${attempt} attempts: is it running (\`openmined store serve\`), and is the URL right?`,
        );
      }
      const delay = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS);
      await new Promise((done) => setTimeout(done, delay * (0.5 + Math.random() / 2)));
    }
  }
}

async function once(
  url: string,
  path: string,
  request: RequestInit,
  limit: number,
  subject: string,
): Promise<Uint8Array> {
  const stop = new AbortController();
  let patience = setTimeout(() => stop.abort(new Passing("no answer in time")), TIMEOUT_MS);
  try {
    const response = await fetch(url + path, {
      ...request,
      headers: { "accept-encoding": "identity", ...request.headers },
      redirect: "error",
      signal: stop.signal,
    });
    const start = performance.now();
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      clearTimeout(patience);
      patience = setTimeout(() => stop.abort(new Passing("no answer in time")), TIMEOUT_MS);
      size += part.length;
      if (size > limit) {
        throw new BlobTooLarge(`${url} sent more than ${limit} bytes for ${subject}: refused`);
      }
      const elapsed = (performance.now() - start) / 1000;
      if (elapsed > TIMEOUT_MS / 1000 + size / SLOWEST_BYTES_PER_S) {
        throw new StoreUnreachable(
          `${url} sent ${size} bytes of ${subject} in ${elapsed.toFixed(0)} s: too slow, try another store`,
        );
      }
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    if (!response.ok) raiseForStatus(url, response.status, body, subject);
    return body;
  } finally {
    clearTimeout(patience);
  }
}

function raiseForStatus(url: string, status: number, body: Buffer, subject: string): never {
  const said = printable(body.subarray(0, 4096).toString("utf8"));
  if (PASSING.has(status)) throw new Passing(`HTTP ${status} ${said}`);
  if (status === 404) throw new BlockNotFound(`${url} does not have ${subject}: ${said}`);
  if (status === 410) throw new BlockNotFound(`${url} has removed ${subject}: ${said}`);
  if (status === 413) {
    throw new BlobTooLarge(`${url} does not take ${subject}, it is too large: ${said}`);
  }
  if (status === 507) {
    throw new QuotaExceeded(`${url} is full and does not take ${subject}: ${said}`);
  }
  throw new StoreRefused(`${url} refused ${subject} with HTTP ${status}: ${said}`);
}

function reason(error: unknown): string {
  const { cause } = error as { cause?: NodeJS.ErrnoException };
  if (cause?.code === undefined) return cause?.message ?? textOf(error);
  return cause.errno === undefined ? cause.code : `[Errno ${-cause.errno}] ${systemTextOf(cause)}`;
}

function printable(text: string): string {
  const clean = text
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, " ")
    .split(/\s+/)
    .filter(Boolean)
    .join(" ");
  return clean.slice(0, 300) || "no reason given";
}
