/** The vectors of tests/vectors, which Python reads too. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { encode } from "@ipld/dag-cbor";
import { decrypt, readMessage, readPrivateKey } from "openpgp";
import { encodeCanonical, hexDigest } from "../canonical.ts";
import { type GradientBody, sealGradient } from "../envelope.ts";
import { ManifestError, UnknownFormat } from "../errors.ts";
import { decodeManifest, encodeManifest, type Kind } from "../manifests.ts";
import { type DatasetUse, decide } from "../permissions.ts";
import { checkPermission } from "../settings.ts";
import { cidOfFile } from "../store/unixfs.ts";

const VECTORS = new URL("../../../tests/vectors/", import.meta.url);
const bytes = (name: string) => readFileSync(new URL(name, VECTORS));

interface Case {
  title: string;
  permission: Record<string, unknown>;
  request: { bounty_wei: string; bond_wei: string; privacy?: { level?: string } };
  use: Partial<DatasetUse>;
  now: string;
  expect: unknown;
}

test("permissions: every case of the table", () => {
  const cases = JSON.parse(bytes("permissions/cases.json").toString()) as Case[];
  for (const { title, permission, request, use, now, expect } of cases) {
    const asked = {
      ...(request as unknown as Parameters<typeof decide>[1]),
      bounty_wei: BigInt(request.bounty_wei),
      bond_wei: BigInt(request.bond_wei),
      privacy: request.privacy ? { level: "record", ...request.privacy } : null,
    } as Parameters<typeof decide>[1];
    const used = { rounds: 0, epsilon_spent: 0, epsilon_paid_here: false, answer: "none" as const, ...use };
    assert.deepEqual(decide(checkPermission(permission), asked, used, new Date(now)), expect, title);
  }
  assert.ok(cases.length >= 100, `${cases.length} cases`);
});

const manifests = readdirSync(new URL("manifests/", VECTORS)).filter((name) => name.endsWith(".json"));

test("manifests: canonical bytes and digests", () => {
  assert.equal(manifests.length, 6);
  for (const name of manifests) {
    const data = bytes(`manifests/${name}`);
    const digest = bytes(`manifests/${name.replace(".json", ".sha256")}`)
      .toString()
      .trim();
    assert.equal(hexDigest(data), digest.split(/\s/)[0], name);
    assert.deepEqual(Buffer.from(encodeCanonical(JSON.parse(data.toString()))), data, name);
  }
});

const KINDS: Kind[] = ["campaign", "keys", "model", "gradient"];

test("manifests: read, checked, and written again to the same bytes", () => {
  for (const kind of KINDS) {
    const data = bytes(`manifests/${kind}-1.json`);
    assert.deepEqual(Buffer.from(encodeManifest(decodeManifest(data, kind))), data, kind);
  }
});

test("manifests: another spelling, kind or member is refused", () => {
  for (const kind of KINDS) {
    const value = JSON.parse(bytes(`manifests/${kind}-1.json`).toString()) as Record<string, unknown>;
    const spaced = Buffer.from(JSON.stringify(value, null, 1));
    assert.throws(() => decodeManifest(spaced, kind), /canonical form/);
    const extra = encodeCanonical({ ...value, extra: 1 });
    assert.throws(() => decodeManifest(extra, kind), /extra: Extra inputs are not permitted/);
    const other = encodeCanonical({ ...value, format: "openmined/other@1" });
    assert.throws(() => decodeManifest(other, kind), UnknownFormat);
    const deep = Buffer.from("[".repeat(100_000));
    assert.throws(() => decodeManifest(deep, kind), ManifestError);
  }
});

interface Recipe {
  content: string;
  seed: string;
  size: number;
  cid: string;
}

function* content({ content: kind, seed, size }: Recipe): Generator<Uint8Array> {
  if (kind === "shake-256") {
    yield createHash("shake256", { outputLength: Math.max(size, 1) })
      .update(seed)
      .digest()
      .subarray(0, size);
    return;
  }
  const zeros = Buffer.alloc(1 << 20);
  for (let left = size; left > 0; left -= zeros.length) yield zeros.subarray(0, Math.min(left, zeros.length));
}

test("CIDs: files of one block, of several, and of three layers", () => {
  const { files } = JSON.parse(bytes("cids/files.json").toString()) as { files: Recipe[] };
  for (const file of files) assert.equal(cidOfFile(content(file)), file.cid, `${file.size} bytes`);
});

async function opened(binaryMessage: Uint8Array): Promise<Buffer> {
  const decryptionKeys = await readPrivateKey({
    armoredKey: bytes("envelopes/capsule.secret.asc").toString(),
  });
  const message = await readMessage({ binaryMessage });
  const { data } = await decrypt({ message, decryptionKeys, format: "binary" });
  return Buffer.from(data as Uint8Array);
}

test("envelopes: the same body to the byte, whichever mine sealed it", async () => {
  const value = JSON.parse(bytes("envelopes/body.json").toString()) as Record<string, unknown>;
  const ciphertexts = (value.ciphertexts as string[]).map((text) => new Uint8Array(Buffer.from(text, "hex")));
  const body = { ...value, ciphertexts } as unknown as GradientBody;
  const wanted = bytes("envelopes/body.cbor");
  assert.deepEqual(Buffer.from(encode(body)), wanted);
  for (const mine of ["python", "node"]) {
    assert.deepEqual(await opened(bytes(`envelopes/sealed-by-${mine}.pgp`)), wanted, mine);
  }
  const sealed = await sealGradient(body, bytes("envelopes/capsule.certificate.asc").toString());
  assert.deepEqual(await opened(sealed), wanted);
});
