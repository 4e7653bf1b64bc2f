import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  batchPayout,
  type CampaignManifest,
  decodeCanonical,
  decodeManifest,
  encodeCanonical,
  encodeManifest,
  ManifestError,
  NotCanonical,
  sharePayout,
} from "../src/protocol";

const VECTORS = new URL("../../../tests/vectors/manifests/", import.meta.url);
const read = (name: string) => new Uint8Array(readFileSync(new URL(name, VECTORS)));
const bytes = (text: string) => new TextEncoder().encode(text);

describe("canonical JSON", () => {
  const names = readdirSync(VECTORS).filter((name) => name.endsWith(".json"));

  test.each(names)("%s has the bytes and the digest that Python gave it", (name) => {
    const data = read(name);
    const again = encodeCanonical(decodeCanonical(data));
    expect(new TextDecoder().decode(again)).toBe(new TextDecoder().decode(data));
    const digest = new TextDecoder()
      .decode(read(name.replace(".json", ".sha256")))
      .trim()
      .split(/\s/)[0];
    expect(createHash("sha256").update(again).digest("hex")).toBe(digest);
  });

  test("numbers, keys and texts are written as RFC 8785 wants", () => {
    const value = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\u{1f600}": 5, "\u0080": 6, ö: 7 };
    expect(new TextDecoder().decode(encodeCanonical(value))).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
    expect(new TextDecoder().decode(encodeCanonical([1e30, 4.5, 2e-3, 1e-27, -0, 1.0]))).toBe("[1e+30,4.5,0.002,1e-27,0,1]");
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "\ud800", () => 1, 1n])("%s has none", (value) => {
    expect(() => encodeCanonical({ value })).toThrow(NotCanonical);
  });

  test.each(['{"a":1, "b":2}', '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a":1.0}', "[".repeat(40) + "]".repeat(40), "\ufeff{}", "nul"])(
    "%s is refused",
    (text) => {
      expect(() => decodeCanonical(bytes(text))).toThrow(NotCanonical);
    },
  );
});

describe("manifests", () => {
  test("those of the vectors are read and written again alike", () => {
    const data = read("campaign-1.json");
    const manifest = decodeManifest(data, "openmined/campaign@1");
    expect(encodeManifest<"openmined/campaign@1">(manifest)).toEqual(data);
    for (const kind of ["delivery", "keys", "receipt"] as const) {
      expect(decodeManifest(read(`${kind}-1.json`), `openmined/${kind}@1`).format).toBe(`openmined/${kind}@1`);
    }
  });

  const campaign = () => decodeManifest(read("campaign-1.json"), "openmined/campaign@1");
  const hostile: [string, (manifest: CampaignManifest) => object, RegExp][] = [
    ["a title of a million characters", (m) => ({ ...m, title: "x".repeat(1_000_000) }), /title has 1000000 characters/],
    ["an unknown member", (m) => ({ ...m, script: "x" }), /unknown member "script"/],
    ["a missing member", ({ title: _, ...m }) => m, /lacks title/],
    ["another format", (m) => ({ ...m, format: "openmined/campaign@2" }), /expected a manifest of format/],
    ["an unknown algorithm", (m) => ({ ...m, algorithm: { kind: "__proto__" } }), /unknown kind "__proto__"/],
    ["an accuracy above one", (m) => ({ ...m, target_ppm: 1_000_001 }), /target_ppm = 1000001 is out of range/],
    ["half a part per million", (m) => ({ ...m, target_ppm: 0.5 }), /target_ppm is no integer/],
    ["a CID that is none", (m) => ({ ...m, validation: { ...m.validation, cid: "javascript:alert(1)" } }), /validation.cid is malformed/],
  ];
  test.each(hostile)("%s is refused", (_, change, reason) => {
    expect(() => decodeManifest(encodeCanonical(change(campaign())), "openmined/campaign@1")).toThrow(reason);
    expect(() => decodeManifest(encodeCanonical(change(campaign())), "openmined/campaign@1")).toThrow(ManifestError);
  });
});

describe("payouts", () => {
  const terms = { bounty: 1000n, fee: 0n, bestPpm: 0n, accuracyPpm: 20_000n, targetPpm: 800_000n, minImprovementPpm: 1n };

  test("of a bounty of 1000 with target 80 %, an increase of 2 points pays 25", () => {
    expect(batchPayout(terms)).toBe(25n);
  });
  test("a gain below the step pays nothing, unless it reaches the target", () => {
    expect(batchPayout({ ...terms, minImprovementPpm: 20_001n })).toBe(0n);
    expect(batchPayout({ ...terms, bestPpm: 799_999n, accuracyPpm: 800_000n, bounty: 8_000_000n, minImprovementPpm: 9n })).toBe(10n);
  });
  test("overshoot is not paid, loss is not charged", () => {
    expect(batchPayout({ ...terms, bestPpm: 400_000n, accuracyPpm: 1_000_000n })).toBe(500n);
    expect(batchPayout({ ...terms, bestPpm: 400_000n, accuracyPpm: 300_000n })).toBe(0n);
  });
  test("shares are rounded down", () => {
    expect([333_333n, 333_333n, 333_334n].map((share) => sharePayout(100n, share))).toEqual([33n, 33n, 33n]);
  });
});
