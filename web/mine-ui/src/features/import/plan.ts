/** What the owner wants of a file: from choices to what the mine is asked. Pure. */

import type { components } from "@openmined/shared/api/mine";
import type { SchemaField, TableSchema } from "../../shared/api";

export type Preview = components["schemas"]["Preview"];

/** Uploads are held in the mine's memory, so a browser may send less than the mine would take. */
export const MAX_UPLOAD_BYTES = 2 ** 30;

export const TYPES = ["string", "number", "integer", "boolean", "date", "datetime"] as const;
export const TYPE_WORDS: Readonly<Record<SchemaField["type"], string>> = {
  string: "text",
  number: "number",
  integer: "whole number",
  boolean: "yes or no",
  date: "date",
  datetime: "date and time",
  array: "list of numbers",
};

export type Stage = "choose" | "sending" | "look" | "importing";

export interface Draft {
  readonly stage: Stage;
  readonly name: string;
  readonly bytes: number;
  readonly upload?: string;
  readonly path?: string;
  /** A name of an adapter; empty: the one that recognises the file. */
  readonly adapter: string;
  /** The id of a published schema; empty: the columns as found. */
  readonly published: string;
  /** Columns that are left behind. */
  readonly dropped: readonly string[];
  readonly types: Readonly<Record<string, SchemaField["type"]>>;
  /** Published schema: which column a field comes from; empty: none. */
  readonly sources: Readonly<Record<string, string>>;
  readonly dataset: string;
  readonly strict: boolean;
  readonly id?: string;
}

export const EMPTY: Draft = {
  stage: "choose",
  name: "",
  bytes: 0,
  adapter: "",
  published: "",
  dropped: [],
  types: {},
  sources: {},
  dataset: "",
  strict: false,
};

const TABULAR = new Set(["csv", "jsonl", "parquet", "sqlite", "sql"]);

/** Whether the file is a table of the owner's own, whose columns can be chosen. */
export function isTable(adapter: string): boolean {
  return TABULAR.has(adapter);
}

export interface Source {
  readonly upload?: string;
  readonly path?: string;
  readonly adapter?: string;
}

export function sourceOf(draft: Draft): Source {
  const place = draft.upload ? { upload: draft.upload } : { path: draft.path ?? "" };
  return draft.adapter ? { ...place, adapter: draft.adapter } : place;
}

/** The mapping that brings the choices about; none where the file is taken as it is. */
export function mappingOf(draft: Draft, found: Preview): Record<string, unknown> | undefined {
  if (!isTable(found.adapter)) return undefined;
  if (draft.published)
    return {
      schema: draft.published,
      columns: Object.fromEntries(Object.entries(draft.sources).map(([field, column]) => [field, column || { constant: "" }])),
    };
  const fields = keptFields(draft, found.table_schema);
  const changed = fields.length < found.table_schema.fields.length || fields.some((field, at) => field !== found.table_schema.fields[at]);
  return changed ? { schema: { title: found.table_schema.title ?? null, fields } } : undefined;
}

export function keptFields(draft: Draft, schema: TableSchema): SchemaField[] {
  return schema.fields
    .filter((field) => !draft.dropped.includes(field.name))
    .map((field) => {
      const type = draft.types[field.name];
      return type && type !== field.type ? { name: field.name, type } : field;
    });
}

/** Columns of the file that no row will have. */
export function droppedColumns(draft: Draft, found: Preview, wanted: TableSchema | undefined): string[] {
  const columns = found.table_schema.fields.map((field) => field.name);
  if (!draft.published) return columns.filter((name) => draft.dropped.includes(name));
  const used = new Set(wanted?.fields.map((field) => draft.sources[field.name] ?? field.name));
  return columns.filter((name) => !used.has(name));
}

export function suggestName(file: string): string {
  const base = (file.split(/[/\\]/).pop() ?? "").replace(/(\.(tar|gz|zip|csv|tsv|jsonl?|parquet|sqlite3?|db|xml))+$/i, "");
  const name = base
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return name || "data";
}

export function nameFault(name: string): string | undefined {
  if (name === "") return "Give it a name";
  if (!/^[a-z0-9-]*$/.test(name)) return "Small letters, digits and - only";
  if (name.startsWith("-")) return "Begin with a letter or a digit";
  return name.length > 64 ? "At most 64 characters" : undefined;
}

/** A value of a row, as short as a cell of a table. */
export function shownValue(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return `${value.slice(0, 6).map(shownNumber).join(", ")}${value.length > 6 ? ", …" : ""}`;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

/** A number among many: four digits tell them apart, and leave room for the next. */
function shownNumber(value: unknown): string {
  return String(typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value);
}
