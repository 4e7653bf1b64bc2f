import { readFileSync } from "node:fs";
import { bytesToHex, type Hex } from "viem";
import { describe, expect, test } from "vitest";
import { encodeCanonical, encodeManifest, type ReceiptManifest } from "../src/protocol";
import { auditHistory, foldHistory, type SonarEvent } from "../src/sonar";
import { cidOf, digestOf, type StoreClient, StoreError } from "../src/store";

const MINER = "0x00000000000000000000000000000000000000aa";
const SONAR = "0x00000000000000000000000000000000000000bb";
const place = { chainId: 31337, contract: SONAR, firstBlock: 0n } as const;
const digest = (data: Uint8Array): Hex => bytesToHex(digestOf(data));
const word = (byte: string): Hex => `0x${byte.repeat(32)}`;

const vector = JSON.parse(readFileSync(new URL("../../../tests/vectors/manifests/campaign-1.json", import.meta.url), "utf8")) as object;
const manifest = encodeCanonical({ ...vector, start_ppm: 100_000, target_ppm: 900_000 });

function receiptOf(change: Partial<ReceiptManifest> = {}): Uint8Array {
  return encodeManifest<"openmined/receipt@1">({
    format: "openmined/receipt@1",
    chain: { chain_id: 31337, sonar: SONAR },
    campaign: 1,
    batch: 1,
    parent_model: "11".repeat(32),
    model: "22".repeat(32),
    entries: [0, 1].map((gradient) => ({
      gradient,
      miner: MINER,
      version: 1,
      envelope: "33".repeat(32),
      share_ppm: gradient === 0 ? 1_000_000 : 0,
      reason: gradient === 0 ? 0 : 5,
      note: "",
    })),
    accuracy_before_ppm: 100_000,
    accuracy_after_ppm: 500_000,
    attribution: "shapley",
    validation: "44".repeat(32),
    validation_rows: 360,
    software: "openmined",
    ...change,
  });
}

function eventsOf(receipt: Uint8Array): SonarEvent[] {
  const terms = {
    spec: digest(manifest),
    capsule: SONAR,
    token: word("00").slice(0, 42),
    bounty: 1_000n,
    fee: 100n,
    bond: 10n,
    start_ppm: 100_000n,
    start_tolerance_ppm: 0n,
    target_ppm: 900_000n,
    min_improvement_ppm: 1n,
    deadline: 9n,
    grace: 9n,
    max_gradients: 9n,
    max_batch: 9n,
  };
  const list: [string, object][] = [
    ["CampaignLaunched", { campaign: 1n, data_scientist: MINER, capsule: SONAR, nonce: word("00"), terms }],
    ["CampaignOpened", { campaign: 1n, keys: word("55"), model: word("11"), accuracy_ppm: 100_000n }],
    ["GradientSubmitted", { campaign: 1n, miner: MINER, gradient: 0n, version: 1n, envelope: word("33") }],
    ["GradientSubmitted", { campaign: 1n, miner: MINER, gradient: 1n, version: 1n, envelope: word("33") }],
    [
      "GradientScored",
      { campaign: 1n, miner: MINER, gradient: 0n, batch: 1n, share_ppm: 1_000_000n, payout: 400n, reason: 0n, bond_returned: 10n },
    ],
    ["GradientScored", { campaign: 1n, miner: MINER, gradient: 1n, batch: 1n, share_ppm: 0n, payout: 0n, reason: 5n, bond_returned: 0n }],
    [
      "BatchScored",
      {
        campaign: 1n,
        batch: 1n,
        accuracy_ppm: 500_000n,
        best_ppm: 500_000n,
        version: 2n,
        model: word("22"),
        receipt: digest(receipt),
        paid: 400n,
        forfeited: 10n,
        bounty: 1_010n,
      },
    ],
    ["CampaignDelivered", { campaign: 1n, delivery: word("66"), fee: 100n, refund: 510n }],
  ];
  return list.map(([eventName, args]) => ({ eventName, args })) as unknown as SonarEvent[];
}

const state = { phase: "delivered", bounty: 1_010n, paid: 400n, bestPpm: 500_000n, gradients: 2n, batches: 1n };

function storeOf(...blocks: Uint8Array[]): StoreClient {
  const kept = new Map(blocks.map((data) => [cidOf(data).text, data]));
  const getBlock = async (cid: { text: string }) => {
    const found = kept.get(cid.text);
    if (!found) throw new StoreError("missing", "the store does not have it");
    return found;
  };
  const never = async () => Promise.reject(new Error("an audit writes nothing"));
  return { url: "http://store", getBlock, getFile: never, putBlock: never, putFile: never };
}

const audit = (events: SonarEvent[], receipt: Uint8Array, contract = state) =>
  auditHistory(place, storeOf(manifest, receipt), foldHistory(events), contract);

describe("an audit", () => {
  test("passes a campaign in which everything follows", async () => {
    const receipt = receiptOf();
    const report = await audit(eventsOf(receipt), receipt);
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ ok: true, paid: 400n, batches: 1, receipts: 1 });
    expect(report.payouts.map(({ paid, expected }) => [paid, expected])).toEqual([
      [400n, 400n],
      [0n, 0n],
    ]);
  });

  const altered: [string, number, object, RegExp][] = [
    ["a payout", 4, { payout: 401n }, /payout of gradient 0 is 401, 400 follows/],
    ["a share", 4, { share_ppm: 999_999n }, /sum of its shares/],
    ["a bond kept", 4, { bond_returned: 0n }, /bond given back for gradient 0/],
    ["a bond given back", 5, { bond_returned: 10n }, /bond given back for gradient 1/],
    ["the accuracy", 6, { accuracy_ppm: 500_001n }, /best accuracy afterwards/],
    ["what was paid in all", 6, { paid: 399n }, /what it paid in all/],
    ["the lost bonds", 6, { forfeited: 0n }, /took of bonds/],
    ["the bounty", 6, { bounty: 1_000n }, /bounty afterwards/],
    ["the version", 6, { version: 3n }, /version afterwards/],
    ["the receipt's digest", 6, { receipt: word("77") }, /receipt cannot be read/],
    ["the model", 6, { model: word("78") }, /receipt's model/],
    ["the fee", 7, { fee: 101n }, /Capsule's fee/],
    ["the refund", 7, { refund: 511n }, /the refund/],
    ["who submitted", 2, { miner: SONAR }, /not pending/],
    ["an envelope", 2, { envelope: word("79") }, /gradient 0's envelope/],
  ];
  test.each(altered)("finds that %s was altered", async (_, at, change, finding) => {
    const receipt = receiptOf();
    const events = eventsOf(receipt);
    const event = events[at] as { args: object };
    event.args = { ...event.args, ...change };
    const report = await audit(events, receipt);
    expect(report.ok).toBe(false);
    expect(report.findings.map(({ text }) => text).join("\n")).toMatch(finding);
  });

  const receipts: [string, Partial<ReceiptManifest>, RegExp][] = [
    ["another chain", { chain: { chain_id: 1, sonar: SONAR } }, /receipt's chain/],
    ["another contract", { chain: { chain_id: 31337, sonar: MINER } }, /receipt's contract/],
    ["another campaign", { campaign: 2 }, /receipt's campaign/],
    ["another batch", { batch: 2 }, /receipt's batch/],
    ["another start", { accuracy_before_ppm: 1 }, /accuracy before/],
    ["another parent", { parent_model: "99".repeat(32) }, /parent model/],
  ];
  test.each(receipts)("finds a receipt of %s", async (_, change, finding) => {
    const receipt = receiptOf(change);
    const report = await audit(eventsOf(receipt), receipt);
    expect(report.findings.map(({ text }) => text).join("\n")).toMatch(finding);
  });

  test("finds a contract that says otherwise", async () => {
    const receipt = receiptOf();
    const report = await audit(eventsOf(receipt), receipt, { ...state, paid: 401n });
    expect(report.findings.map(({ text }) => text)).toEqual(["what was paid by the events is 400, 401 follows"]);
  });
});
