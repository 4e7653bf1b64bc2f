/** Times in unix seconds, relative for reading and exact for the record. */

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Says how long ago or how far ahead a time is: `3 minutes ago`, `in 2 days`. */
export function formatRelative(at: number, now: number): string {
  const distance = at - now;
  const far = Math.abs(distance);
  for (const [unit, seconds] of STEPS) {
    if (far >= seconds) return words.format(Math.trunc(distance / seconds), unit);
  }
  if (far < 5) return "now";
  return words.format(Math.trunc(distance), "second");
}

/** Writes a time exactly, in UTC: `2026-11-23 17:16:08 UTC`. */
export function formatExact(at: number): string {
  const date = new Date(at * 1000);
  if (Number.isNaN(date.getTime())) return `${at} s after 1970`;
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Writes a length of time in its two largest units: 93600 -> `1 day 2 hours`. */
export function formatDuration(seconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
    ["second", 1],
  ];
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [name, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
  }
  return parts.slice(0, 2).join(" ") || "0 seconds";
}
