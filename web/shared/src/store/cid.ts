/** CIDv1, sha2-256, of raw bytes or of a DAG-PB node: 36 bytes, 59 characters, one spelling. */

import { bytesToHex, type Hex, sha256 } from "viem";

export const RAW = 0x55;
export const DAG_PB = 0x70;
export type Codec = typeof RAW | typeof DAG_PB;

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const LENGTH = 59;

export class BadCid extends Error {
  override name = "BadCid";
}

export interface Cid {
  readonly codec: Codec;
  readonly digest: Uint8Array;
  readonly text: string;
}

export function digestOf(data: Uint8Array): Uint8Array {
  return sha256(data, "bytes");
}

export function makeCid(codec: Codec, digest: Uint8Array): Cid {
  if (digest.length !== 32) throw new BadCid(`a sha2-256 digest has 32 bytes, not ${digest.length}`);
  return { codec, digest, text: `b${base32(binaryOf(codec, digest))}` };
}

export function cidOf(data: Uint8Array, codec: Codec = RAW): Cid {
  return makeCid(codec, digestOf(data));
}

/** The CID of the manifest whose digest stands on chain. */
export function cidOfDigest(digest: Hex): Cid {
  const bytes = Uint8Array.from(digest.slice(2).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  return makeCid(RAW, bytes);
}

export function binaryCid(cid: Cid): Uint8Array {
  return binaryOf(cid.codec, cid.digest);
}

/** Reads a CID from text or from its 36 bytes; refuses every other form. */
export function parseCid(text: string): Cid {
  if (text.length !== LENGTH || !text.startsWith("b")) throw new BadCid(`${shown(text)} is no CID of this network`);
  const cid = cidFromBytes(unbase32(text.slice(1)));
  if (cid.text !== text) throw new BadCid(`${shown(text)} is another spelling of ${cid.text}`);
  return cid;
}

export function cidFromBytes(data: Uint8Array): Cid {
  const codec = data[1];
  const known = codec === RAW || codec === DAG_PB;
  if (data.length !== 36 || data[0] !== 1 || !known || data[2] !== 0x12 || data[3] !== 0x20) {
    throw new BadCid(`${bytesToHex(data.slice(0, 40))} is not CIDv1 with sha2-256`);
  }
  return makeCid(codec, data.slice(4));
}

export function matches(cid: Cid, data: Uint8Array): boolean {
  const found = digestOf(data);
  return cid.digest.every((byte, at) => byte === found[at]);
}

function binaryOf(codec: Codec, digest: Uint8Array): Uint8Array {
  return Uint8Array.from([1, codec, 0x12, 0x20, ...digest]);
}

function base32(data: Uint8Array): string {
  let [text, bits, held] = ["", 0, 0];
  for (const byte of data) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31] : text;
}

function unbase32(text: string): Uint8Array {
  const bytes: number[] = [];
  let [bits, held] = [0, 0];
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) throw new BadCid(`${shown(text)} is no lower-case base32`);
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 255);
    }
  }
  return Uint8Array.from(bytes);
}

function shown(text: string): string {
  return JSON.stringify(text.length <= 80 ? text : `${text.slice(0, 77)}...`);
}
