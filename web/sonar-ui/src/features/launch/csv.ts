/** CSV by RFC 4180, read in the browser. Faults name the line. */

import { Refusal } from "@openmined/shared/ui";

export const MAX_FILE_BYTES = 64 << 20;
const MAX_COLUMNS = 4096;

export interface Csv {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Reads a file, unless it is too large to be read here at all. */
export async function readCsvFile(file: Blob): Promise<Csv> {
  if (file.size > MAX_FILE_BYTES) {
    throw new Refusal(
      "The file is too large for a browser",
      `It has ${Math.round(file.size / 2 ** 20)} MiB, at most 64 MiB are read here. A validation set needs thousands of rows, not millions: take a part of it, or launch with PySonar.`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Refusal("The file is no UTF-8 text", "Export it as CSV with UTF-8 encoding.");
  }
  return parseCsv(text);
}

export function parseCsv(text: string): Csv {
  const [header, ...rows] = records(text);
  if (!header || header.length === 0) throw new Refusal("The file is empty", "It needs a header with the names of the columns, and rows.");
  if (header.length > MAX_COLUMNS) throw new Refusal("Too many columns", `${header.length} of them; at most ${MAX_COLUMNS} are possible.`);
  const names = header.map((name) => name.trim());
  for (const [at, name] of names.entries()) {
    if (!/^[A-Za-z_][\w.-]{0,127}$/.test(name)) {
      throw new Refusal(
        `Column ${at + 1} has no usable name`,
        `${JSON.stringify(name.slice(0, 60))}: use letters, digits, _ . - and begin with a letter.`,
      );
    }
    if (names.indexOf(name) !== at) throw new Refusal(`Two columns are named ${name}`, "Rename one of them.");
  }
  for (const [at, row] of rows.entries()) {
    if (row.length !== names.length) {
      throw new Refusal(
        `Row ${at + 1} does not fit`,
        `It has ${row.length} of ${names.length} values. Look for a missing comma or quote there.`,
      );
    }
  }
  if (rows.length < 2) throw new Refusal("Too few rows", "A validation set needs at least two rows, better hundreds.");
  return { header: names, rows };
}

export function writeCsv(header: readonly string[], rows: Iterable<readonly string[]>): Uint8Array {
  const lines = [header.map(quoted).join(",")];
  for (const row of rows) lines.push(row.map(quoted).join(","));
  return new TextEncoder().encode(`${lines.join("\r\n")}\r\n`);
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function records(text: string): string[][] {
  const found: string[][] = [];
  const source = text.startsWith("\ufeff") ? text.slice(1) : text;
  let row: string[] = [];
  let at = 0;
  let line = 1;
  while (at < source.length) {
    const cell = source[at] === '"' ? quotedCell(source, at, line) : plainCell(source, at);
    line += cell.lines;
    row.push(cell.text);
    at = cell.end;
    if (source[at] === ",") {
      at += 1;
      if (at === source.length) row.push("");
      continue;
    }
    at += source.startsWith("\r\n", at) ? 2 : 1;
    line += 1;
    if (row.length > 1 || row[0] !== "") found.push(row);
    row = [];
  }
  if (row.length > 0) found.push(row);
  return found;
}

interface Cell {
  readonly text: string;
  readonly end: number;
  readonly lines: number;
}

function plainCell(source: string, start: number): Cell {
  let end = start;
  while (end < source.length && source[end] !== "," && source[end] !== "\n" && source[end] !== "\r") end += 1;
  return { text: source.slice(start, end), end, lines: 0 };
}

function quotedCell(source: string, start: number, line: number): Cell {
  let text = "";
  let from = start + 1;
  for (;;) {
    const close = source.indexOf('"', from);
    if (close < 0)
      throw new Refusal(`Line ${line}: a quote is opened and never closed`, "Close it, or double quotes that are part of the text.");
    text += source.slice(from, close);
    if (source[close + 1] === '"') {
      text += '"';
      from = close + 2;
      continue;
    }
    const after = source[close + 1];
    if (after !== undefined && after !== "," && after !== "\n" && after !== "\r") {
      throw new Refusal(`Line ${line}: text after a closing quote`, "Double the quotes that are part of the text.");
    }
    return { text, end: close + 1, lines: text.split("\n").length - 1 };
  }
}
