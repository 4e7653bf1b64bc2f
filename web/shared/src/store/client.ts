/** The store over HTTP: read through the trustless gateway, write through Kubo's RPC.
 *
 * Whatever a store serves is checked against its CID, so it does not matter who runs it.
 */

import { type Cid, cidOf, matches, parseCid, RAW } from "./cid";
import { encodeFile, readFile } from "./unixfs";

const MAX_BLOCK_BYTES = 2 << 20;
const TIMEOUT_MS = 30_000;

export type StoreFault = "unreachable" | "missing" | "forged" | "refused" | "too-large";

export class StoreError extends Error {
  override name = "StoreError";
  constructor(
    readonly fault: StoreFault,
    message: string,
  ) {
    super(message);
  }
}

export interface StoreClient {
  readonly url: string;
  getBlock(cid: Cid): Promise<Uint8Array>;
  getFile(cid: string, maxBytes: number): Promise<Uint8Array>;
  putBlock(data: Uint8Array): Promise<Cid>;
  putFile(data: Uint8Array): Promise<Cid>;
}

export function connectStore(url: string): StoreClient {
  const base = url.replace(/\/+$/, "");
  const getBlock = (cid: Cid) => fetchBlock(base, cid);
  return {
    url: base,
    getBlock,
    getFile: (cid, maxBytes) => readFile(parseCid(cid), getBlock, maxBytes),
    putBlock: async (data) => {
      const cid = cidOf(data);
      await sendBlock(base, cid, data);
      return cid;
    },
    putFile: async (data) => {
      const { root, blocks } = encodeFile(data);
      for (const block of blocks) await sendBlock(base, block.cid, block.data);
      return root;
    },
  };
}

/** Where a block can be read by anybody. */
export function blockUrl(store: string, cid: string): string {
  return `${store.replace(/\/+$/, "")}/ipfs/${cid}?format=raw`;
}

async function fetchBlock(base: string, cid: Cid): Promise<Uint8Array> {
  const answer = await call(blockUrl(base, cid.text), {}, cid.text);
  const data = await readBounded(answer, cid.text);
  if (!matches(cid, data)) {
    throw new StoreError("forged", `the store gave ${data.length} bytes for ${cid.text} that are not what it names: do not use them`);
  }
  return data;
}

async function sendBlock(base: string, cid: Cid, data: Uint8Array): Promise<void> {
  const form = new FormData();
  form.append("data", new Blob([data as Uint8Array<ArrayBuffer>]), "block");
  const codec = cid.codec === RAW ? "raw" : "dag-pb";
  const answer = await call(
    `${base}/api/v0/block/put?cid-codec=${codec}&mhtype=sha2-256&pin=true`,
    { method: "POST", body: form },
    cid.text,
  );
  const said = (await answer.json()) as { Key?: unknown };
  if (said.Key !== cid.text) {
    throw new StoreError("refused", `the store keeps ${cid.text} under another name, ${String(said.Key).slice(0, 80)}`);
  }
}

async function call(url: string, init: RequestInit, subject: string): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS), credentials: "omit", redirect: "error" });
  } catch {
    throw new StoreError("unreachable", `the store at ${new URL(url).origin} does not answer`);
  }
  if (answer.ok) return answer;
  if (answer.status === 404 || answer.status === 410) {
    throw new StoreError("missing", `the store does not have ${subject}`);
  }
  const said = (await answer.text().catch(() => "")).slice(0, 300);
  throw new StoreError("refused", `the store refused ${subject} (HTTP ${answer.status}): ${said}`);
}

async function readBounded(answer: Response, subject: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = answer.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MAX_BLOCK_BYTES) {
      await reader.cancel();
      throw new StoreError("too-large", `the store sent more than a block for ${subject}`);
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}
