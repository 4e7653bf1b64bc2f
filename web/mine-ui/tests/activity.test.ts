import { expect, test } from "vitest";
import { currentWork, recent, sentenceOf } from "../src/shared/activity";
import type { Line } from "../src/shared/live";

const line = (step: string, facts: object = {}): Line => ({ at: "2026-01-05T12:00:00Z", step, campaign: 3, version: 2, ...facts });

test("what the mine does is told by the last line that is work", () => {
  expect(currentWork([]).text).toMatch(/^Waiting for campaigns/);
  const training = [line("downloaded"), line("training", { part: "rows", done: 30, of: 120 }), line("seen")];
  expect(currentWork(training)).toEqual({
    text: "Training on your data for campaign 3, version 2: reading rows, 30 of 120",
    campaign: 3,
    part: 0.25,
    busy: true,
  });
  expect(currentWork([...training, line("submitted", { gradient: 7 })])).toMatchObject({ busy: false, campaign: 3 });
  expect(currentWork([...training, line("stopped")])).toEqual({ text: "The mine has stopped.", busy: false });
});

test("progress stays between nothing and all, whatever the log says", () => {
  expect(currentWork([line("training", { done: 500, of: 120 })]).part).toBe(1);
  expect(currentWork([line("training", { done: "1", of: 0 })]).part).toBeUndefined();
});

test.each([
  [line("outcome", { gradient: 7, share_ppm: 250_000 }), /^Gradient 7 of campaign 3 was scored: share 25\.0\s% of its batch\.$/],
  [line("outcome", { gradient: 7, outcome: "rejected", reason: "harmful." }), /was rejected: harmful\.$/],
  [line("outcome", { gradient: 7, share_ppm: 0 }), /brought no gain\.$/],
  [
    line("decided", { verdict: "refuse", dataset: "patients", reason: "it pays too little" }),
    /^Campaign 3 with patients: refused, because it pays/,
  ],
  [line("withdrawn", { amount_wei: "880000000000000000" }), /^Withdrew 0\.88\sETH\.$/],
  [line("withdrawn", { amount_wei: "<b>" }), /^Withdrew 0\sETH\.$/],
  [line("problem", { text: "x".repeat(1_000_000) }), /^Problem: x{599}…$/],
])("a line is a sentence: %#", (found, sentence) => expect(sentenceOf(found)).toMatch(sentence));

test("lines of other kinds, and names of objects' own parts, are none", () => {
  for (const step of ["training", "toString", "constructor", "new-in-a-later-version"]) expect(sentenceOf(line(step))).toBeUndefined();
  expect(sentenceOf(line("decided", { verdict: "constructor", dataset: "*" }))).toMatch(/^Campaign 3: decided, because/);
  expect(currentWork([line("constructor")]).text).toMatch(/^Waiting for campaigns/);
});

test("lately is the newest first, and no longer than asked", () => {
  const lines = [line("started"), line("training"), line("trained", { samples: 120 }), line("submitted", { gradient: 7 })];
  expect(recent(lines, 2).map((found) => found.text)).toEqual([
    "Submitted gradient 7 to campaign 3.",
    "Trained version 2 of campaign 3 on 120 rows.",
  ]);
});
