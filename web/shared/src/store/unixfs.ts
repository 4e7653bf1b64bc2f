/** Files as IPFS keeps them, profile `unixfs-v1-2025`: 1 MiB raw leaves, inner nodes of 1024 links.
 *
 *     PBNode { repeated PBLink Links = 2; optional bytes Data = 1 }     (links are written first)
 *     PBLink { bytes Hash = 1; string Name = 2; uint64 Tsize = 3 }
 *     UnixFS { Type = 1; filesize = 3; repeated blocksizes = 4 }
 */

import { binaryCid, type Cid, cidFromBytes, cidOf, DAG_PB, RAW } from "./cid";

export const CHUNK_BYTES = 1 << 20;
const WIDTH = 1024;
const FILE = 2;
const MAX_DEPTH = 8;

export interface Block {
  readonly cid: Cid;
  readonly data: Uint8Array;
}

interface Link {
  readonly cid: Cid;
  readonly fileBytes: number;
  readonly totalBytes: number;
}

export class MalformedFile extends Error {
  override name = "MalformedFile";
}

/** Cuts a file into blocks; the last one is its root. */
export function encodeFile(file: Uint8Array): { root: Cid; blocks: Block[] } {
  const blocks: Block[] = [];
  let links: Link[] = [];
  for (let at = 0; at === 0 || at < file.length; at += CHUNK_BYTES) {
    const data = file.subarray(at, at + CHUNK_BYTES);
    const cid = cidOf(data);
    blocks.push({ cid, data });
    links.push({ cid, fileBytes: data.length, totalBytes: data.length });
  }
  while (links.length > 1) {
    const above: Link[] = [];
    for (let at = 0; at < links.length; at += WIDTH) {
      const { block, link } = encodeNode(links.slice(at, at + WIDTH));
      blocks.push(block);
      above.push(link);
    }
    links = above;
  }
  const [root] = links;
  if (!root) throw new MalformedFile("a file has at least one block");
  return { root: root.cid, blocks };
}

/** Reads a file block by block; every size a node claims is checked. `fetch` returns verified bytes. */
export async function readFile(root: Cid, fetch: (cid: Cid) => Promise<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  async function walk(cid: Cid, size: number | null, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw new MalformedFile(`the tree of ${root.text} is too deep`);
    const data = await fetch(cid);
    const node = cid.codec === RAW ? { size: data.length, links: [] } : decodeNode(data);
    if (size !== null && node.size !== size) throw new MalformedFile(`${cid.text} has not the size its parent says`);
    if (size === null && node.size > maxBytes) {
      throw new MalformedFile(`${root.text} holds ${node.size} bytes, at most ${maxBytes} were expected`);
    }
    if (cid.codec === RAW) {
      total += data.length;
      if (total > maxBytes) throw new MalformedFile(`${root.text} is longer than it says`);
      parts.push(data);
    }
    for (const link of node.links) await walk(link.cid, link.fileBytes, depth + 1);
  }
  await walk(root, null, 0);
  return concat(parts);
}

function encodeNode(links: readonly Link[]): { block: Block; link: Link } {
  const fileBytes = links.reduce((sum, link) => sum + link.fileBytes, 0);
  const encoded = links.map((link) =>
    bytesField(2, concat([bytesField(1, binaryCid(link.cid)), bytesField(2, new Uint8Array()), numberField(3, link.totalBytes)])),
  );
  const sizes = links.map((link) => numberField(4, link.fileBytes));
  const unixfs = concat([numberField(1, FILE), numberField(3, fileBytes), ...sizes]);
  const data = concat([...encoded, bytesField(1, unixfs)]);
  const cid = cidOf(data, DAG_PB);
  const totalBytes = data.length + links.reduce((sum, link) => sum + link.totalBytes, 0);
  return { block: { cid, data }, link: { cid, fileBytes, totalBytes } };
}

function decodeNode(data: Uint8Array): { size: number; links: { cid: Cid; fileBytes: number }[] } {
  const fields = decodeFields(data);
  const targets = fields.filter(([number]) => number === 2).map(([, link]) => targetOf(link));
  const body = fields.find(([number]) => number === 1)?.[1];
  if (!(body instanceof Uint8Array)) throw new MalformedFile("a node without UnixFS data is no file");
  const unixfs = decodeFields(body);
  const sizes = unixfs.flatMap(([number, value]) => (number === 4 && typeof value === "number" ? [value] : []));
  const kind = unixfs.find(([number]) => number === 1)?.[1];
  if (kind !== FILE || sizes.length !== targets.length || sizes.includes(0)) {
    throw new MalformedFile("a node that contradicts itself");
  }
  const links = targets.map((cid, at) => ({ cid, fileBytes: sizes[at] ?? 0 }));
  return { size: sizes.reduce((sum, size) => sum + size, 0), links };
}

function targetOf(link: Uint8Array | number): Cid {
  const target = link instanceof Uint8Array ? decodeFields(link).find(([number]) => number === 1)?.[1] : undefined;
  if (!(target instanceof Uint8Array)) throw new MalformedFile("a link without an address");
  return cidFromBytes(target);
}

function decodeFields(data: Uint8Array): [number, Uint8Array | number][] {
  const fields: [number, Uint8Array | number][] = [];
  let at = 0;
  const varint = (): number => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = data[at];
      if (byte === undefined || factor > 2 ** 49) throw new MalformedFile("a number that does not end");
      at += 1;
      value += (byte & 127) * factor;
      factor *= 128;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const key = varint();
    const kind = key % 8;
    if (kind !== 0 && kind !== 2) throw new MalformedFile(`wire type ${kind} where none is used`);
    const value = varint();
    if (kind === 2 && at + value > data.length) throw new MalformedFile("a field longer than its node");
    fields.push([Math.floor(key / 8), kind === 0 ? value : data.subarray(at, at + value)]);
    if (kind === 2) at += value;
  }
  return fields;
}

function bytesField(number: number, value: Uint8Array): Uint8Array {
  return concat([varint(number * 8 + 2), varint(value.length), value]);
}

function numberField(number: number, value: number): Uint8Array {
  return concat([varint(number * 8), varint(value)]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Uint8Array.from([...bytes, rest]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
