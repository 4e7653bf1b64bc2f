/** Accuracy, sizes, counts and hashes, written for people. */

export const NBSP = "\u00a0";

/** Writes parts per million as a percentage: 971300 -> `97.1 %`. */
export function formatPpm(ppm: number, digits = 1): string {
  return `${(ppm / 10_000).toFixed(digits)}${NBSP}%`;
}

/** Writes a difference of two percentages, given in ppm: 19400 -> `1.9 points`. */
export function formatPoints(ppm: number, digits = 1): string {
  return `${(ppm / 10_000).toFixed(digits)}${NBSP}points`;
}

/** Writes a part of a whole as a percentage; of nothing, as a dash. */
export function formatPercent(part: bigint, whole: bigint, digits = 0): string {
  if (whole === 0n) return "–";
  return formatPpm(Number((part * 1_000_000n) / whole), digits);
}

/** Reads a percentage that a person typed, to ppm; answers with a sentence if it is none. */
export function parsePercent(text: string): number | string {
  const found = /^(\d{1,3})(?:\.(\d{1,4}))?\s*%?$/.exec(text.trim());
  if (!found) return "write a percentage like 97.5";
  const ppm = Number(found[1]) * 10_000 + Number((found[2] ?? "").padEnd(4, "0"));
  return ppm > 1_000_000 ? "at most 100 %" : ppm;
}

export function formatCount(count: number | bigint): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, NBSP);
}

/** Writes a size in binary units: 1536 -> `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)}${NBSP}${units[unit]}`;
}

/** Shortens an address, a digest or a CID: both ends, so that it can be compared by eye. */
export function shortHash(text: string, head = 6, tail = 4): string {
  return text.length <= head + tail + 1 ? text : `${text.slice(0, head)}…${text.slice(-tail)}`;
}
