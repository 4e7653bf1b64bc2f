/**
 * Files as trees of blocks, by the IPFS profile `unixfs-v1-2025` (IPIP-499): sha2-256, chunks of
 * 1 MiB, raw leaves, balanced tree of width 1024. A file of at most one chunk is that one raw block.
 */
import * as dagPb from "@ipld/dag-pb";
import type { CID } from "multiformats/cid";
import { BlobTooLarge, MalformedBlock, textOf } from "../errors.ts";
import { type Block, cidOf, DAG_PB, isOurs, RAW } from "./cid.ts";

export const CHUNK_BYTES = 1 << 20;
export const WIDTH = 1024;
const MAX_DEPTH = 8;
const SMALLEST_CHUNK = 4096;
const UNIXFS_RAW = 0;
const UNIXFS_FILE = 2;

interface Link {
  cid: CID;
  fileBytes: number;
  totalBytes: number;
}

type Fetch = (cid: CID) => Promise<Uint8Array>;

interface FileNode {
  data: Uint8Array;
  size: number;
  links: { cid: CID; fileBytes: number }[];
}

/** Cut a file into blocks, leaves first; the last one is its root. Only one chunk is held at a time. */
export function* fileBlocks(data: Iterable<Uint8Array>): Generator<Block, CID> {
  let level: Link[] = [];
  for (const chunk of chunks(data)) {
    const cid = cidOf(chunk);
    yield { cid, data: chunk };
    level.push({ cid, fileBytes: chunk.length, totalBytes: chunk.length });
  }
  while (level.length > 1) {
    const above: Link[] = [];
    for (let start = 0; start < level.length; start += WIDTH) {
      const [block, link] = fileNode(level.slice(start, start + WIDTH));
      yield block;
      above.push(link);
    }
    level = above;
  }
  const root = level[0];
  if (root === undefined) throw new Error("a file has at least one block");
  return root.cid;
}

function* chunks(data: Iterable<Uint8Array>): Generator<Uint8Array> {
  let held = Buffer.alloc(0);
  let any = false;
  for (const piece of data) {
    held = held.length === 0 ? Buffer.from(piece) : Buffer.concat([held, piece]);
    while (held.length >= CHUNK_BYTES) {
      yield held.subarray(0, CHUNK_BYTES);
      held = held.subarray(CHUNK_BYTES);
      any = true;
    }
  }
  if (held.length > 0 || !any) yield held;
}

/** Return the CID a file has on every store. */
export function cidOfFile(data: Uint8Array | Iterable<Uint8Array>): string {
  const blocks = fileBlocks(data instanceof Uint8Array ? [data] : data);
  for (;;) {
    const step = blocks.next();
    if (step.done) return step.value.toString();
  }
}

function fileNode(links: Link[]): [Block, Link] {
  const size = links.reduce((sum, link) => sum + link.fileBytes, 0);
  const unixfs = Buffer.concat([
    field(1, UNIXFS_FILE),
    field(3, size),
    ...links.map((link) => field(4, link.fileBytes)),
  ]);
  const Links = links.map(({ cid, totalBytes }) => ({ Hash: cid, Name: "", Tsize: totalBytes }));
  const data = dagPb.encode({ Data: unixfs, Links });
  const cid = cidOf(data, DAG_PB);
  const totalBytes = data.length + links.reduce((sum, link) => sum + link.totalBytes, 0);
  return [
    { cid, data },
    { cid, fileBytes: size, totalBytes },
  ];
}

function field(number: number, value: number): Buffer {
  const bytes = [number << 3];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** Read a file into memory; see `readPieces`. */
export async function readFile(root: CID, fetch: Fetch, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of readPieces(root, fetch, maxBytes)) parts.push(part);
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/**
 * Read a file in pieces, in order: every size that a node claims is checked against what is found, and
 * the size of the whole against `maxBytes` before any part is fetched. `fetch` returns verified bytes.
 */
export async function* readPieces(root: CID, fetch: Fetch, maxBytes: number): AsyncGenerator<Uint8Array> {
  let left = 1024;
  const pending: { cid: CID; size: number | null; depth: number }[] = [{ cid: root, size: null, depth: 0 }];
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    const node = decodeBlock({ cid: part.cid, data: await fetch(part.cid) });
    if (part.size === null) {
      if (node.size > maxBytes) {
        throw new BlobTooLarge(`${root} holds ${node.size} bytes, at most ${maxBytes} were allowed for it`);
      }
      left += 2 * Math.floor(node.size / SMALLEST_CHUNK);
    } else if (node.size !== part.size) {
      throw new MalformedBlock(
        `part ${part.cid} of ${root} holds ${node.size} bytes, its parent says ${part.size}`,
      );
    }
    left -= 1;
    if (node.data.length > 0) yield node.data;
    const { depth } = part;
    if (node.links.length > 0 && depth === MAX_DEPTH) {
      throw new MalformedBlock(`the tree of ${root} is deeper than ${MAX_DEPTH} levels: refused`);
    }
    if (node.links.length > left - pending.length) {
      throw new MalformedBlock(`${root} is cut into parts far smaller than 4 KiB: refused`);
    }
    const below = node.links.map((link) => ({ cid: link.cid, size: link.fileBytes, depth: depth + 1 }));
    pending.push(...below.reverse());
  }
}

function decodeBlock({ cid, data }: Block): FileNode {
  if (cid.code === RAW) return { data, size: data.length, links: [] };
  let node: dagPb.PBNode;
  try {
    node = dagPb.decode(data);
  } catch (error) {
    throw new MalformedBlock(`${cid} is no DAG-PB node: ${textOf(error)}`);
  }
  if (node.Data === undefined) {
    throw new MalformedBlock(`${cid} is a DAG-PB node without UnixFS data: no file`);
  }
  const { content, size, sizes } = decodeUnixfs(cid, node.Data);
  if (node.Links.length !== sizes.length) {
    throw new MalformedBlock(`${cid} has ${node.Links.length} links but ${sizes.length} sizes`);
  }
  if (sizes.length > 0 && content.length > 0) {
    throw new MalformedBlock(`${cid} mixes file bytes with links`);
  }
  const whole = content.length + sizes.reduce((sum, part) => sum + part, 0);
  if (size !== null && size !== whole) {
    throw new MalformedBlock(`${cid} says it holds ${size} bytes; its parts make ${whole}`);
  }
  const links = node.Links.map(({ Hash }, index) => {
    const fileBytes = sizes[index] ?? 0;
    if (fileBytes === 0) throw new MalformedBlock(`${cid} links to an empty part ${Hash}`);
    if (!isOurs(Hash)) throw new MalformedBlock(`${cid} has a link that cannot be followed: ${Hash}`);
    return { cid: Hash, fileBytes };
  });
  return { data: content, size: whole, links };
}

function decodeUnixfs(
  cid: CID,
  data: Uint8Array,
): { content: Uint8Array; size: number | null; sizes: number[] } {
  let kind: number | undefined;
  let content: Uint8Array = new Uint8Array();
  let size: number | null = null;
  const sizes: number[] = [];
  for (const [number, value] of fields(cid, data)) {
    if (number === 1 && kind === undefined && typeof value === "number") kind = value;
    else if (number === 2 && content.length === 0 && typeof value !== "number") content = value;
    else if (number === 3 && size === null && typeof value === "number") size = value;
    else if (number === 4 && typeof value === "number") sizes.push(value);
    else if (number !== 7 && number !== 8) {
      throw new MalformedBlock(`${cid} has UnixFS field ${number} where no file has one`);
    }
  }
  if (kind !== UNIXFS_RAW && kind !== UNIXFS_FILE) {
    throw new MalformedBlock(`${cid} is UnixFS of type ${kind}: only files are read here`);
  }
  return { content, size, sizes };
}

function* fields(cid: CID, data: Uint8Array): Generator<[number, number | Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = data[at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
    }
    throw new MalformedBlock(`${cid} holds UnixFS data that ends in the middle`);
  };
  while (at < data.length) {
    const tag = varint();
    if ((tag & 7) === 0) yield [tag >> 3, varint()];
    else if ((tag & 7) === 2) {
      const length = varint();
      if (at + length > data.length) {
        throw new MalformedBlock(`${cid} holds UnixFS data that ends in the middle`);
      }
      yield [tag >> 3, data.subarray(at, at + length)];
      at += length;
    } else throw new MalformedBlock(`${cid} holds UnixFS data of wire type ${tag & 7}`);
  }
}
