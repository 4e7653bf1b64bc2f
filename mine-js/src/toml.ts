/** Read and write TOML. Whole numbers are bigint here and floats are number, so that each stays what it is. */
import { parse } from "smol-toml";
import { floatText, isObject } from "./text.ts";

export type TomlTable = Record<string, unknown>;

export function parseToml(text: string): TomlTable {
  return parse(text, { integersAsBigInt: true }) as TomlTable;
}

/** Write a table; `heads` are comments by the name of the table they stand above. */
export function dumpToml(value: TomlTable, heads: Record<string, string> = {}): string {
  const lines: string[] = [];
  writeTable(value, [], lines, heads);
  return `${lines.join("\n").trim()}\n`;
}

function writeTable(
  value: TomlTable,
  path: readonly string[],
  lines: string[],
  heads: Record<string, string>,
): void {
  const given = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  const plain = given.filter(([, item]) => !isObject(item));
  const tables = given.filter((pair): pair is [string, TomlTable] => isObject(pair[1]));
  const comment = heads[path.join(".")];
  const head = (comment ?? "")
    .split("\n")
    .filter(Boolean)
    .map((line) => `# ${line}`);
  if (path.length > 0 && (plain.length > 0 || comment !== undefined || tables.length === 0)) {
    lines.push("", ...head, `[${path.map(keyText).join(".")}]`);
  } else if (path.length === 0) {
    lines.push(...head);
  }
  for (const [key, item] of plain) lines.push(`${keyText(key)} = ${scalar(item)}`);
  for (const [key, table] of tables) writeTable(table, [...path, key], lines, heads);
}

function keyText(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : stringText(name);
}

function scalar(value: unknown): string {
  if (typeof value === "boolean") return String(value);
  if (typeof value === "string") return stringText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return floatText(value);
  if (Array.isArray(value)) return `[${value.map(scalar).join(", ")}]`;
  throw new TypeError(`a ${typeof value} has no place in mine.toml`);
}

function stringText(text: string): string {
  // A JSON string is a TOML basic string but for DEL, which TOML wants escaped.
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}
