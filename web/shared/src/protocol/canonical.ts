/** Canonical JSON (RFC 8785): one value, one text, one digest. As `openmined.protocol` writes it. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export const MAX_MANIFEST_BYTES = 1 << 20;
const MAX_DEPTH = 32;
const MAX_INTEGER = 2 ** 53 - 1;

export class NotCanonical extends Error {
  override name = "NotCanonical";
}

/** Encodes a value canonically. `undefined` members of objects are left out. */
export function encodeCanonical(value: unknown): Uint8Array {
  return new TextEncoder().encode(write(value, 0));
}

/** Reads canonical bytes of an untrusted document: size, depth, form. */
export function decodeCanonical(data: Uint8Array): Json {
  if (data.length > MAX_MANIFEST_BYTES) throw new NotCanonical(`${data.length} bytes: above 1 MiB`);
  if (nesting(data) > MAX_DEPTH) throw new NotCanonical(`nested deeper than ${MAX_DEPTH}`);
  let value: Json;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data)) as Json;
  } catch {
    throw new NotCanonical("no JSON in UTF-8");
  }
  const again = encodeCanonical(value);
  if (again.length !== data.length || again.some((byte, at) => byte !== data[at])) {
    throw new NotCanonical("not in canonical form (RFC 8785)");
  }
  return value;
}

function write(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new NotCanonical(`nested deeper than ${MAX_DEPTH}`);
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return writeText(value);
  if (typeof value === "number") return writeNumber(value);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(",")}]`;
  if (typeof value === "object") {
    // The default order of strings is that of their UTF-16 code units, as RFC 8785 wants it.
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${members.map(([key, item]) => `${writeText(key)}:${write(item, depth + 1)}`).join(",")}}`;
  }
  throw new NotCanonical(`a ${typeof value} has no JSON`);
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new NotCanonical(`${value} has no JSON`);
  if (Number.isInteger(value) && Math.abs(value) > MAX_INTEGER && Math.abs(value) < 1e21) {
    throw new NotCanonical(`${value} is beyond 2^53: not exact`);
  }
  return JSON.stringify(value); // ECMAScript's form of numbers is RFC 8785's
}

function writeText(text: string): string {
  if (!text.isWellFormed()) throw new NotCanonical("half of a surrogate pair: no UTF-8");
  return JSON.stringify(text);
}

function nesting(data: Uint8Array): number {
  let [deepest, depth] = [0, 0];
  for (const byte of data) {
    if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return deepest;
}
