/** Reading a command's arguments, and printing what it found. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { dumpJson } from "../text.ts";

/** The command line makes no sense: exit code 2, as Mine.py's. */
export class UsageError extends Error {}

export type Options = NonNullable<ParseArgsConfig["options"]>;

export interface Given {
  positionals: string[];
  text: (name: string) => string | undefined;
  texts: (name: string) => string[];
  number: (name: string) => number | undefined;
  flag: (name: string) => boolean;
}

/** Read arguments: `names` are the positional ones, those in brackets may be left out. */
export function readArguments(args: string[], names: readonly string[], options: Options): Given {
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0] ?? "");
  }
  const { positionals, values } = parsed;
  const needed = names.filter((name) => !name.startsWith("["));
  const missing = needed[positionals.length];
  if (missing !== undefined) throw new UsageError(`Missing argument '${missing}'.`);
  if (positionals.length > names.length) {
    throw new UsageError(`Got unexpected extra argument (${positionals[names.length]})`);
  }
  const text = (name: string) => values[name] as string | undefined;
  return {
    positionals,
    text,
    texts: (name) => (values[name] as string[] | undefined) ?? [],
    number: (name) => {
      const value = text(name);
      if (value === undefined) return undefined;
      if (value.trim() === "" || !Number.isFinite(Number(value))) {
        throw new UsageError(`Invalid value for '--${name}': '${value}' is not a valid number.`);
      }
      return Number(value);
    },
    flag: (name) => values[name] === true,
  };
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  say(dumpJson(value, 2));
}

/** Print rows as a table, or as JSON for programs. */
export function printRows(rows: Record<string, unknown>[], asJson: boolean, empty: string): void {
  const [first] = rows;
  if (asJson) printJson(rows);
  else if (first === undefined) say(empty);
  else printTable(first, rows);
}

function printTable(first: Record<string, unknown>, rows: Record<string, unknown>[]): void {
  const table = [
    Object.keys(first).map((name) => name.replaceAll("_", " ")),
    ...rows.map((row) => Object.values(row).map(cell)),
  ];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((line) => width(line[column] ?? "")))) ?? [];
  for (const line of table) {
    say(line.map((text, column) => text + " ".repeat((widths[column] ?? 0) - width(text))).join("  "));
  }
}

function width(text: string): number {
  return [...text].length;
}

function cell(value: unknown): string {
  if (Array.isArray(value)) return value.slice(0, 6).join(", ") + (value.length > 6 ? " ..." : "");
  const text = value === null || value === undefined ? "" : dumpText(value);
  // Titles and reasons may quote hostile bytes: no terminal control gets through.
  return printable(text);
}

function dumpText(value: unknown): string {
  return typeof value === "string" ? value : dumpJson(value);
}

export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
}
