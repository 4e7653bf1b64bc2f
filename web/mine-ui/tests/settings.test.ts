import { expect, test } from "vitest";
import { formOf, settingsOf } from "../src/features/settings/form";
import type { Settings } from "../src/shared/api";

const settings = {
  name: "Rosa's mine",
  loop: { poll_interval_s: 2.5, patience: 8, retry_s: 30, max_fee_gwei: 200 },
  limits: { memory_mb: 2048, seconds: 900, download_mb: 512 },
  reporting: { enabled: false, url: null },
} as unknown as Settings;

test("the form says again what it was made of", () => {
  expect(settingsOf(formOf(settings), settings)).toEqual({ settings });
});

test.each([
  ["memory_mb", "1.5", "Write a whole number"],
  ["memory_mb", "64", "Between 128 and 1048576"],
  ["seconds", "1e3", "Write a whole number"],
  ["max_fee_gwei", "", "Write a number"],
])("%s is not %j", (name, text, fault) => {
  const form = formOf(settings);
  expect(settingsOf({ ...form, values: { ...form.values, [name]: text } }, settings)).toEqual({ faults: { [name]: fault } });
});

test("a mine has a name, and reports only to an address without a password", () => {
  const form = formOf(settings);
  expect(settingsOf({ ...form, name: " " }, settings)).toHaveProperty("faults.name");
  expect(settingsOf({ ...form, reporting: true }, settings)).toHaveProperty("faults.url");
  expect(settingsOf({ ...form, url: "https://me:secret@stats.example.org" }, settings)).toHaveProperty("faults.url");
  expect(settingsOf({ ...form, url: "javascript:alert(1)" }, settings)).toHaveProperty("faults.url");
  expect(settingsOf({ ...form, reporting: true, url: "https://stats.example.org" }, settings)).toMatchObject({
    settings: { reporting: { enabled: true, url: "https://stats.example.org" } },
  });
});
