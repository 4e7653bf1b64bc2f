/** The columns of a validation set: what they hold, what they are for, and whether every value fits. */

import { publishedSchemas, type SchemaField } from "@openmined/shared/protocol";
import { Refusal } from "@openmined/shared/ui";
import type { Csv } from "./csv";

export type Role = "input" | "output" | "unused";
export type FieldType = SchemaField["type"];

export interface Column {
  readonly name: string;
  readonly role: Role;
  readonly type: FieldType;
  /** Of an output that is one of several classes, in their order. */
  readonly classes?: readonly string[] | undefined;
  /** Taken over from a published schema. */
  readonly published?: SchemaField | undefined;
}

const MOST_CLASSES = 100;
const INTEGER = /^[+-]?\d{1,15}$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const TRUTH = new Set(["true", "false", "0", "1"]);

/** Guesses types, takes the last column for the output, and a published schema's fields by their names. */
export function inferColumns(csv: Csv, publishedId: string): Column[] {
  const known = new Map(fieldsOf(publishedId).map((field) => [field.name, field]));
  return csv.header.map((name, at) => {
    const values = csv.rows.map((row) => (row[at] ?? "").trim());
    const role: Role = at === csv.header.length - 1 ? "output" : publishedId && !known.has(name) ? "unused" : "input";
    const published = known.get(name);
    const column = { name, role, type: published?.type ?? inferType(values), published };
    return role === "output" ? withClasses(column, values) : column;
  });
}

/** An output's classes: texts, or few different whole numbers. */
export function withClasses(column: Column, values: readonly string[]): Column {
  const listed = column.published?.constraints?.enum;
  const distinct = listed ?? [...new Set(values)];
  const labels = column.type === "string" || (column.type !== "array" && values.every((value) => INTEGER.test(value)));
  if (!listed && (!labels || distinct.length > MOST_CLASSES)) return { ...column, classes: undefined };
  const type = column.published || column.type === "string" ? column.type : "integer";
  return { ...column, type, classes: listed ?? distinct.sort(naturally) };
}

export function fieldsOf(publishedId: string): readonly SchemaField[] {
  const found = publishedSchemas.find((schema) => schema.id === publishedId);
  return (found?.fields ?? []) as unknown as readonly SchemaField[];
}

/** The fields of a role as the manifest has them. */
export function schemaFields(columns: readonly Column[], role: Role, values: (name: string) => readonly string[]): SchemaField[] {
  return columns
    .filter((column) => column.role === role)
    .map((column) => {
      if (column.published && !(role === "output" && column.classes)) return withoutNulls(column.published);
      const field: SchemaField = { name: column.name, type: column.type };
      if (column.type === "array") {
        const length = (JSON.parse(values(column.name)[0] ?? "[]") as unknown[]).length;
        return { ...field, constraints: { minLength: length, maxLength: length } };
      }
      if (role !== "output") return field;
      if (column.classes) return { ...field, constraints: { enum: [...column.classes] } };
      return { ...field, constraints: limitsOf(column.name, values(column.name).map(Number)) };
    });
}

/** Says which row and column does not fit, with the value. Rows count from 1, the header aside. */
export function checkValues(csv: Csv, columns: readonly Column[]): void {
  for (const [at, column] of columns.entries()) {
    if (column.role === "unused") continue;
    let length: number | undefined;
    for (const [row, cells] of csv.rows.entries()) {
      const value = (cells[at] ?? "").trim();
      const fault = valueFault(value, column, length);
      if (fault) throw new Refusal(`Row ${row + 1}, column ${column.name}: ${JSON.stringify(value.slice(0, 40))}`, fault);
      if (column.type === "array") length ??= (JSON.parse(value) as unknown[]).length;
    }
  }
}

function valueFault(value: string, column: Column, length: number | undefined): string | undefined {
  if (column.role === "output" && column.classes) {
    return column.classes.includes(value)
      ? undefined
      : `It is none of the classes ${column.classes.slice(0, 12).join(", ")}. Correct it, or drop the row.`;
  }
  if (column.type === "string") return undefined;
  if (value === "") return "There is no value. Fill it in, or drop the row.";
  const fits = {
    integer: () => INTEGER.test(value),
    number: () => NUMBER.test(value) && Number.isFinite(Number(value)),
    boolean: () => TRUTH.has(value.toLowerCase()),
    array: () => isVector(value, length),
    date: () => !Number.isNaN(Date.parse(value)),
    datetime: () => !Number.isNaN(Date.parse(value)),
  }[column.type]();
  if (!fits)
    return `The column is of type ${column.type}${length ? ` with ${length} numbers` : ""}. Correct the value, drop the row, or choose another type.`;
  const limits = column.published?.constraints;
  const below = typeof limits?.minimum === "number" && Number(value) < limits.minimum;
  const above = typeof limits?.maximum === "number" && Number(value) > limits.maximum;
  return below || above ? `The schema allows ${limits?.minimum ?? "anything"} to ${limits?.maximum ?? "anything"}.` : undefined;
}

function inferType(values: readonly string[]): FieldType {
  if (values.every((value) => NUMBER.test(value))) return "number";
  if (values.every((value) => /^(true|false)$/i.test(value))) return "boolean";
  if (values.every((value) => isVector(value, undefined))) return "array";
  return "string";
}

function isVector(value: string, length: number | undefined): boolean {
  if (!value.startsWith("[")) return false;
  try {
    const numbers: unknown = JSON.parse(value);
    const fits = Array.isArray(numbers) && numbers.length > 0 && (length === undefined || numbers.length === length);
    return fits && numbers.every((number) => typeof number === "number" && Number.isFinite(number));
  } catch {
    return false;
  }
}

/** Targets are scaled to about one by these; mines' values may lie beyond what she has seen. */
function limitsOf(name: string, numbers: readonly number[]): { minimum: number; maximum: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const number of numbers) {
    low = Math.min(low, number);
    high = Math.max(high, number);
  }
  if (!(low < high)) throw new Refusal(`All rows have the same ${name}`, "There is nothing to learn: choose another output.");
  const margin = (high - low) / 2;
  return { minimum: threeDigits(low - margin), maximum: threeDigits(high + margin) };
}

export function threeDigits(value: number): number {
  return Number(value.toPrecision(3));
}

function naturally(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return Number.isNaN(x) === Number.isNaN(y) ? (a < b ? -1 : 1) : Number.isNaN(x) ? 1 : -1;
}

function withoutNulls<T>(value: T): T {
  return JSON.parse(JSON.stringify(value, (_, member: unknown) => (member === null ? undefined : member))) as T;
}
