import { expect, test } from "vitest";
import {
  ETH,
  formatAmount,
  formatBytes,
  formatCount,
  formatDuration,
  formatExact,
  formatPercent,
  formatPoints,
  formatPpm,
  formatRelative,
  parseAmount,
  parsePercent,
  shortHash,
} from "../src/format";

const plain = (text: string) => text.replaceAll("\u00a0", " ");

test.each([
  [10n ** 17n, "0.1 ETH"],
  [0n, "0 ETH"],
  [1n, "1 wei"],
  [10n ** 18n, "1 ETH"],
  [-(10n ** 18n), "-1 ETH"],
  [1_234_567_890_123_456_789n, "1.234568 ETH"],
  [12_345n * 10n ** 18n, "12 345 ETH"],
  [2_500_000_000_000n, "0.000002 ETH"],
  [3_500_000_000_000n, "0.000004 ETH"],
])("%s wei are %s", (wei, text) => {
  expect(plain(formatAmount(wei))).toBe(text);
});

test("a token of two places is written with at most two", () => {
  expect(plain(formatAmount(12_34n, { symbol: "USD", decimals: 2 }))).toBe("12.34 USD");
});

test.each([
  ["0.25", 25n * 10n ** 16n],
  ["1", 10n ** 18n],
  [" 1. ", 10n ** 18n],
  ["0.000000000000000001", 1n],
])("%j ETH is read exactly", (text, wei) => {
  expect(parseAmount(text)).toBe(wei);
});

test.each(["", "1,5", "-1", "1e3", "0.0000000000000000001", "9".repeat(30), "0x10"])("%j ETH is refused in words", (text) => {
  expect(typeof parseAmount(text, ETH)).toBe("string");
});

test("what is written is read again", () => {
  for (const wei of [1n, 10n ** 12n, 123n * 10n ** 15n, 7n * 10n ** 20n]) {
    const text = plain(formatAmount(wei, ETH, 18))
      .replace("ETH", "")
      .replaceAll(" ", "");
    expect(parseAmount(text)).toBe(wei);
  }
});

test("accuracies", () => {
  expect(plain(formatPpm(971_300))).toBe("97.1 %");
  expect(parsePercent("97.13")).toBe(971_300);
  expect(parsePercent("100 %")).toBe(1_000_000);
  expect(typeof parsePercent("100.1")).toBe("string");
  expect(plain(formatPercent(1n, 3n))).toBe("33 %");
  expect(formatPercent(1n, 0n)).toBe("–");
});

test("sizes, counts and hashes", () => {
  expect(plain(formatBytes(1536))).toBe("1.5 KiB");
  expect(plain(formatBytes(2 ** 31))).toBe("2.0 GiB");
  expect(plain(formatBytes(17))).toBe("17 B");
  expect(plain(formatCount(1_234_567))).toBe("1 234 567");
  expect(shortHash("0x0123456789abcdef")).toBe("0x0123…cdef");
  expect(shortHash("short")).toBe("short");
});

test.each([
  [-4, "now"],
  [-30, "30 seconds ago"],
  [-90, "1 minute ago"],
  [7_200, "in 2 hours"],
  [86_400, "tomorrow"],
  [-8 * 86_400, "last week"],
])("%s s from now is %s", (distance, text) => {
  expect(formatRelative(1_000_000 + distance, 1_000_000)).toBe(text);
});

test("exact times and lengths of time", () => {
  expect(formatExact(1_795_454_168)).toBe("2026-11-23 17:16:08 UTC");
  expect(formatExact(1e20)).toBe("100000000000000000000 s after 1970");
  expect(formatDuration(93_600)).toBe("1 day 2 hours");
  expect(formatDuration(0)).toBe("0 seconds");
  expect(formatDuration(61)).toBe("1 minute 1 second");
});

test("a difference of percentages is in points", () => {
  expect(plain(formatPoints(19_400))).toBe("1.9 points");
  expect(plain(formatPoints(-500, 2))).toBe("-0.05 points");
});
