/** Canonical JSON (RFC 8785) and digests: one object, one encoding, one name. */
import { createHash } from "node:crypto";
import { ManifestError } from "./errors.ts";
import { isObject } from "./text.ts";

/** Encode plain JSON values as RFC 8785 bytes; undefined and null members are left out by callers. */
export function encodeCanonical(value: unknown): Uint8Array {
  return new TextEncoder().encode(canonical(value));
}

function canonical(value: unknown): string {
  if (typeof value === "number") return numberText(value);
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new ManifestError("not canonical JSON: a lone surrogate in a text");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (isObject(value)) {
    // The default order of JavaScript, by UTF-16 code units, is the one RFC 8785 asks for.
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  if (typeof value === "boolean" || value === null) return String(value);
  throw new ManifestError(`not canonical JSON: a ${typeof value}`);
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new ManifestError(`not canonical JSON: ${value} is not finite`);
  if (Number.isInteger(value) && Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21) {
    throw new ManifestError(`not canonical JSON: ${value} is beyond 2**53`);
  }
  return JSON.stringify(value);
}

/** Drop members that are null, at every depth: a manifest leaves out what it does not have. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  return Object.fromEntries(kept.map(([name, item]) => [name, withoutNulls(item)]));
}

/** Return the sha2-256 digest, 32 bytes. */
export function digest(data: Uint8Array): Uint8Array {
  return createHash("sha256").update(data).digest();
}

export function hexDigest(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}
