/** Texts written as Python writes them: both mines share one ledger, one log and one wording. */

/** Write JSON with Python's separators: `{"a": 1, "b": [2, 3]}`. */
export function dumpJson(value: unknown, indent = 0): string {
  return indent > 0 ? indented(value, indent, "") : dump(value);
}

function dump(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(dump).join(", ")}]`;
  if (isObject(value)) {
    const pairs = entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${dump(item)}`);
    return `{${pairs.join(", ")}}`;
  }
  return scalar(value);
}

function indented(value: unknown, step: number, margin: string): string {
  const inner = margin + " ".repeat(step);
  if (Array.isArray(value) && value.length > 0) {
    const lines = value.map((item) => inner + indented(item, step, inner));
    return `[\n${lines.join(",\n")}\n${margin}]`;
  }
  if (isObject(value) && entries(value).length > 0) {
    const lines = entries(value).map(
      ([key, item]) => `${inner}${JSON.stringify(key)}: ${indented(item, step, inner)}`,
    );
    return `{\n${lines.join(",\n")}\n${margin}}`;
  }
  return dump(value);
}

function entries(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, item]) => item !== undefined);
}

/** A number that Python knows as a float: written with its point even when it is whole. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

function scalar(value: unknown): string {
  if (value instanceof Float) return floatText(value.value);
  if (typeof value === "bigint") return value.toString();
  return JSON.stringify(value) ?? "null";
}

/** Write a float as Python's repr does. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${value}.0`;
  const text = String(value);
  const size = Math.abs(value);
  if (!text.includes("e") && size !== 0 && size < 1e-4) {
    const [digits = "", power = ""] = value.toExponential().split("e");
    return `${digits}e${pad(power)}`;
  }
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

function pad(power: string): string {
  return power.replace(/^([+-])(\d)$/, "$10$2");
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Float);
}

/** Write a value as Python's repr does, for messages. */
export function repr(value: unknown): string {
  if (typeof value === "string") return reprText(value);
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (isObject(value)) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${repr(key)}: ${repr(item)}`)
      .join(", ")}}`;
  }
  if (value instanceof Float) return floatText(value.value);
  return String(value);
}

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = "";
  for (const letter of text) {
    if (letter === "\\" || letter === quote) out += `\\${letter}`;
    else if (letter === "\n") out += "\\n";
    else if (letter === "\r") out += "\\r";
    else if (letter === "\t") out += "\\t";
    else if (/[\p{C}\p{Zl}\p{Zp}]/u.test(letter)) out += escapeCode(letter);
    else out += letter;
  }
  return quote + out + quote;
}

function escapeCode(letter: string): string {
  const code = letter.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

/** Cut a text to so many letters, counted as Python counts them. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : [...text].slice(0, most).join("");
}

/** Order texts by code points, as Python does; JavaScript orders by UTF-16 units. */
export function byCodePoint(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const difference = (left[index]?.codePointAt(0) ?? 0) - (right[index]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

export function sortedTexts(texts: Iterable<string>): string[] {
  return [...texts].sort(byCodePoint);
}

/** Write a number with so many decimals, ties to even as Python's format does. */
export function fixed(value: number, digits: number): string {
  const long = value.toFixed(digits + 24);
  const tie = long.slice(-24) === `5${"0".repeat(23)}`;
  const down = long.slice(0, -24);
  if (tie && Number(down.at(-1)) % 2 === 0) return down;
  return value.toFixed(digits);
}

/** Return the time as ledger and log write it. */
export function nowText(): string {
  return new Date().toISOString();
}

const ETHER = 10n ** 18n;

/** Write an amount for people: 10**17 wei is `0.1 ETH`. */
export function formatWei(wei: bigint, digits = 6): string {
  const unit = 10n ** BigInt(18 - digits);
  let scaled = wei / unit;
  const rest = (wei % unit) * 2n;
  if (rest > unit || (rest === unit && scaled % 2n === 1n)) scaled += 1n;
  if (wei !== 0n && scaled === 0n) return `${wei} wei`;
  const whole = (scaled * unit) / ETHER;
  const part = (scaled % 10n ** BigInt(digits)).toString().padStart(digits, "0").replace(/0+$/, "");
  return `${whole}${part === "" ? "" : `.${part}`} ETH`;
}

/** Write parts per million as a percentage: 971_300 is `97.1 %`. */
export function ppmToPercent(ppm: number): string {
  return `${fixed(ppm / 10_000, 1)} %`;
}
