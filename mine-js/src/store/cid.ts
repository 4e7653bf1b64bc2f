/** Content identifiers: CIDv1, base32, sha2-256, of raw bytes or of a DAG-PB node. Nothing else. */
import { createHash } from "node:crypto";
import { CID } from "multiformats/cid";
import * as Digest from "multiformats/hashes/digest";
import { BadCID, BlockMismatch } from "../errors.ts";
import { repr } from "../text.ts";

export const RAW = 0x55;
export const DAG_PB = 0x70;
const SHA2_256 = 0x12;
const TEXT_LENGTH = 59;

export interface Block {
  cid: CID;
  data: Uint8Array;
}

export function cidOf(data: Uint8Array, codec = RAW): CID {
  return cidOfDigest(createHash("sha256").update(data).digest(), codec);
}

/** Return the CID of the manifest whose sha2-256 digest stands on chain. */
export function cidOfDigest(digest: Uint8Array, codec = RAW): CID {
  return CID.createV1(codec, Digest.create(SHA2_256, digest));
}

/** Read a CID in its one spelling. */
export function parseCid(text: string): CID {
  let cid: CID | undefined;
  try {
    cid = text.length === TEXT_LENGTH && text.startsWith("b") ? CID.parse(text) : undefined;
  } catch {
    cid = undefined;
  }
  if (cid === undefined || cid.toString() !== text || !isOurs(cid)) {
    throw new BadCID(`${repr(text.slice(0, 80))} is no CID of this network`);
  }
  return cid;
}

/** Tell whether a CID is of the one kind that is used here. */
export function isOurs(cid: CID): boolean {
  const { code, digest } = cid.multihash;
  const codec = cid.code === RAW || cid.code === DAG_PB;
  return cid.version === 1 && codec && code === SHA2_256 && digest.length === 32;
}

/** Return `data` if it is the block `cid`; `origin` says in the error who served it. */
export function checkBlock(cid: CID, data: Uint8Array, origin: string): Uint8Array {
  if (!createHash("sha256").update(data).digest().equals(cid.multihash.digest)) {
    throw new BlockMismatch(
      `${origin} gave ${data.length} bytes for ${cid} that hash to ${cidOf(data, cid.code)}: ` +
        "the bytes were damaged or forged, do not use them",
    );
  }
  return data;
}
