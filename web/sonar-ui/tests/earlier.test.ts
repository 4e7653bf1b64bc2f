import { expect, test } from "vitest";
import { parseCsv } from "../src/features/launch/csv";
import type { Earlier } from "../src/features/launch/draft";
import { readEarlier } from "../src/features/launch/earlier";
import { continueTask } from "../src/features/launch/task";
import type { NetworkInfo } from "../src/shared/api";

const NETWORK = { chain_id: 31337, contract: `0x${"ab".repeat(20)}` } as NetworkInfo;
const CARD = {
  format: "openmined/weights@1",
  chain_id: "31337",
  sonar: `0x${"AB".repeat(20)}`,
  campaign: "7",
  input: JSON.stringify({ fields: [{ name: "x", type: "number" }] }),
  output: JSON.stringify({ fields: [{ name: "y", type: "string", constraints: { enum: ["a", "b"] } }] }),
  features: JSON.stringify([{ kind: "columns", columns: ["x"], centre: [0], scale: [1] }]),
  algorithm: JSON.stringify({ kind: "linear-classifier", l2: 1e-4 }),
  metric: "accuracy",
  accuracy_ppm: "900000",
  validation_sha256: "00".repeat(32),
};

/** A safetensors file: its header's length, its header, 8 bytes of one number. */
function modelFile(card: object | undefined, claimed?: bigint): Blob {
  const header = new TextEncoder().encode(
    JSON.stringify({ __metadata__: card, weights: { dtype: "F64", shape: [1, 1], data_offsets: [0, 8] } }),
  );
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, claimed ?? BigInt(header.length), true);
  return new Blob([length.buffer, header, new Uint8Array(8)]);
}

test("a model's card says what it was trained on", async () => {
  const earlier = await readEarlier(NETWORK, modelFile(CARD));
  expect(earlier).toMatchObject({ campaign: 7, accuracyPpm: 900_000, metric: "accuracy", algorithm: { kind: "linear-classifier" } });
});

test.each([
  ["no file", new Blob([]), /no safetensors/],
  ["a header beyond the file", modelFile(CARD, 10_000n), /no safetensors/],
  ["a header of exabytes", modelFile(CARD, 2n ** 62n), /no safetensors/],
  ["no card", modelFile(undefined), /no card/],
  ["another format", modelFile({ ...CARD, format: "pt" }), /no card/],
  ["another chain", modelFile({ ...CARD, chain_id: "1" }), /not this network/],
  ["another contract", modelFile({ ...CARD, sonar: "<b>" }), /not this network/],
  ["features that are none", modelFile({ ...CARD, features: "[" }), /how it was trained/],
])("%s is refused", async (_, file, reason) => {
  await expect(readEarlier(NETWORK, file)).rejects.toThrow(reason);
});

test("another campaign's model is not taken for the one that was chosen", async () => {
  await expect(readEarlier(NETWORK, modelFile(CARD), 8)).rejects.toThrow(/names campaign 7/);
});

test("weights go on with the features they were trained with, on rows that have their columns", async () => {
  const earlier: Earlier = await readEarlier(NETWORK, modelFile(CARD));
  const task = continueTask(parseCsv("y,extra,x\na,1,0.5\nb,2,1.5\n"), earlier);
  expect(new TextDecoder().decode(task.validation)).toBe("x,y\r\n0.5,a\r\n1.5,b\r\n");
  expect(task).toMatchObject({ features: earlier.features, startPpm: 900_000, tolerancePpm: 100_000, rows: 2 });
  expect(() => continueTask(parseCsv("y,z\na,1\nb,2\n"), earlier)).toThrow(/Column x is missing/);
  expect(() => continueTask(parseCsv("x,y\n1,a\n2,c\n"), earlier)).toThrow(/Row 2, column y: "c"/);
});
