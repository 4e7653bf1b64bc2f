/**
 * Checks values against the JSON Schemas that the Python side publishes, and fills in defaults.
 *
 * Only the part of JSON Schema that those schemas use, with the wording of their checker there
 * (pydantic), so that an owner reads the same sentence from either mine.
 */
import { cut, floatText, isObject, repr } from "./text.ts";

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  title?: string;
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  /** `ge` and `le` mark an amount of wei: a whole number or its decimal text. */
  ge?: number;
  le?: number;
  minItems?: number;
  maxItems?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  patternProperties?: Record<string, Schema>;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  discriminator?: { propertyName: string; mapping: Record<string, string> };
  default?: unknown;
  format?: string;
  description?: string;
  writeOnly?: boolean;
}

/** What breaks a schema: where, which rule, and what was found there. */
export class Violation extends Error {
  readonly path: readonly string[];
  readonly rule: string;
  readonly found: unknown;

  constructor(path: readonly string[], rule: string, found: unknown) {
    super(rule);
    this.path = path;
    this.rule = rule;
    this.found = found;
  }

  /** As Mine.py writes it: `loop.patience: Input should be ... (found '0')`. */
  describe(whole: string, quoted: (found: unknown) => string = shownText): string {
    return `${this.path.join(".") || whole}: ${this.rule} (found ${quoted(this.found)})`;
  }
}

function shownText(found: unknown): string {
  if (typeof found === "string") return repr(cut(found, 80));
  // Of TOML, whose whole numbers are bigint here: a number is a float.
  return repr(cut(typeof found === "number" ? floatText(found) : repr(found), 80));
}

/** Rules that JSON Schema cannot say, by the title of the schema they belong to. */
export type Rules = Record<string, (value: Record<string, unknown>) => Broken | string | undefined>;

/** A broken rule that belongs to one member of the object. */
export interface Broken {
  at: string;
  text: string;
}

/** Check a value; return it with defaults filled in and amounts of wei as bigint. */
export function check(
  value: unknown,
  schema: Schema,
  rules: Rules = {},
  root: Schema = schema,
  ofRequest = false,
): unknown {
  return new Checker(root, rules, ofRequest).check(value, schema, []);
}

class Checker {
  readonly #root: Schema;
  readonly #rules: Rules;
  readonly #ofRequest: boolean;

  constructor(root: Schema, rules: Rules, ofRequest: boolean) {
    this.#ofRequest = ofRequest;
    this.#root = root;
    this.#rules = rules;
  }

  check(value: unknown, schema: Schema, path: readonly string[]): unknown {
    if (schema.$ref !== undefined) return this.check(value, this.#resolve(schema.$ref), path);
    if (schema.allOf?.length === 1 && schema.allOf[0]) return this.check(value, schema.allOf[0], path);
    if (schema.discriminator !== undefined) return this.#tagged(value, schema, path);
    if (schema.anyOf !== undefined) return this.#any(value, schema.anyOf, path);
    if (schema.const !== undefined) return this.#oneOf(value, [schema.const], path);
    if (schema.enum !== undefined) return this.#oneOf(value, schema.enum, path);
    if (schema.ge !== undefined) return wei(value, schema, path);
    switch (schema.type) {
      case "object":
        return this.#object(value, schema, path);
      case "array":
        return this.#array(value, schema, path);
      case "string":
        return text(value, schema, path);
      case "integer":
        return whole(value, schema, path);
      case "number":
        return number(value, schema, path);
      case "boolean":
        return truth(value, path);
      case "null":
        if (value !== null) throw new Violation(path, "Input should be None", value);
        return null;
      default:
        return value;
    }
  }

  #resolve(ref: string): Schema {
    let found: unknown = this.#root;
    for (const part of ref.slice(2).split("/")) {
      found = isObject(found) ? found[part] : undefined;
    }
    if (!isObject(found)) throw new Error(`no schema ${ref}`);
    return found;
  }

  #any(value: unknown, choices: Schema[], path: readonly string[]): unknown {
    if (value === null && choices.some((choice) => choice.type === "null")) return null;
    let first: Violation | undefined;
    for (const choice of choices.filter((item) => item.type !== "null")) {
      try {
        return this.check(value, choice, path);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        first ??= error;
      }
    }
    throw first ?? new Violation(path, "Input should be None", value);
  }

  #tagged(value: unknown, schema: Schema, path: readonly string[]): unknown {
    const { propertyName, mapping } = schema.discriminator ?? { propertyName: "", mapping: {} };
    const tag = isObject(value) ? value[propertyName] : undefined;
    if (tag === undefined) {
      const rule = `Unable to extract tag using discriminator '${propertyName}'`;
      throw new Violation(path, rule, value);
    }
    const ref = typeof tag === "string" && Object.hasOwn(mapping, tag) ? mapping[tag] : undefined;
    if (ref === undefined) {
      const known = Object.keys(mapping).map(repr).join(", ");
      const rule = `Input tag ${repr(tag)} found using '${propertyName}' does not match any of the expected tags: ${known}`;
      throw new Violation(path, rule, value);
    }
    return this.check(value, this.#resolve(ref), [...path, String(tag)]);
  }

  #oneOf(value: unknown, known: unknown[], path: readonly string[]): unknown {
    if (known.includes(value)) return value;
    const names = known.map(repr);
    const last = names.pop() ?? "";
    const list = names.length > 0 ? `${names.join(", ")} or ${last}` : last;
    throw new Violation(path, `Input should be ${list}`, value);
  }

  #object(value: unknown, schema: Schema, path: readonly string[]): unknown {
    if (!isObject(value)) {
      const model = this.#ofRequest ? "object to extract fields from" : `instance of ${schema.title}`;
      const rule = `Input should be a valid dictionary${schema.properties ? ` or ${model}` : ""}`;
      throw new Violation(path, rule, value);
    }
    const found: Record<string, unknown> = {};
    for (const [name, part] of Object.entries(schema.properties ?? {})) {
      const item = Object.hasOwn(value, name) ? value[name] : undefined;
      if (item !== undefined) found[name] = this.check(item, part, [...path, name]);
      else if (part.default !== undefined) found[name] = this.#default(part);
      else if (schema.required?.includes(name)) throw new Violation([...path, name], "Field required", value);
      else if (part.$ref !== undefined) found[name] = this.check({}, part, [...path, name]);
    }
    this.#others(value, found, schema, path);
    const broken = this.#rules[schema.title ?? ""]?.(found);
    if (typeof broken === "string") throw new Violation(path, `Value error, ${broken}`, value);
    if (broken !== undefined) {
      throw new Violation([...path, broken.at], `Value error, ${broken.text}`, value[broken.at]);
    }
    return found;
  }

  #others(
    value: Record<string, unknown>,
    found: Record<string, unknown>,
    schema: Schema,
    path: readonly string[],
  ): void {
    for (const name of Object.keys(value)) {
      if (schema.properties && Object.hasOwn(schema.properties, name)) continue;
      const pattern = Object.entries(schema.patternProperties ?? {})[0];
      if (pattern !== undefined) {
        text(name, { pattern: pattern[0] }, [...path, name, "[key]"]);
        found[name] = this.check(value[name], pattern[1], [...path, name]);
      } else if (schema.additionalProperties === false) {
        throw new Violation([...path, name], "Extra inputs are not permitted", value[name]);
      } else if (isObject(schema.additionalProperties)) {
        if (schema.propertyNames) text(name, schema.propertyNames, [...path, name, "[key]"]);
        found[name] = this.check(value[name], schema.additionalProperties, [...path, name]);
      } else {
        found[name] = value[name];
      }
    }
  }

  #default(schema: Schema): unknown {
    // Defaults are trusted, and checked all the same: amounts become bigint on the way.
    return schema.default === null ? null : this.check(structuredClone(schema.default), schema, []);
  }

  #array(value: unknown, schema: Schema, path: readonly string[]): unknown {
    if (!Array.isArray(value)) throw new Violation(path, "Input should be a valid tuple", value);
    const { minItems = 0, maxItems = Number.POSITIVE_INFINITY, items } = schema;
    if (value.length > maxItems) {
      const rule = `Tuple should have at most ${maxItems} item${s(maxItems)} after validation, not ${value.length}`;
      throw new Violation(path, rule, value);
    }
    const found = value.map((item, index) =>
      items ? this.check(item, items, [...path, String(index)]) : item,
    );
    if (value.length < minItems) {
      const rule = `Tuple should have at least ${minItems} item${s(minItems)} after validation, not ${value.length}`;
      throw new Violation(path, rule, value);
    }
    return found;
  }
}

function s(count: number): string {
  return count === 1 ? "" : "s";
}

function text(value: unknown, schema: Schema, path: readonly string[]): string {
  if (typeof value !== "string") throw new Violation(path, "Input should be a valid string", value);
  const letters = value.length > 4096 ? value.length : [...value].length;
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  if (letters < minLength) {
    const rule = `String should have at least ${minLength} character${s(minLength)}`;
    throw new Violation(path, rule, value);
  }
  if (letters > maxLength) {
    const rule = `String should have at most ${maxLength} character${s(maxLength)}`;
    throw new Violation(path, rule, value);
  }
  if (pattern !== undefined && !new RegExp(pattern, "u").test(value)) {
    throw new Violation(path, `String should match pattern '${pattern}'`, value);
  }
  return value;
}

function whole(value: unknown, schema: Schema, path: readonly string[]): number {
  if (typeof value === "string") {
    if (!/^\s*[+-]?\d+\s*$/.test(value)) {
      const rule = "Input should be a valid integer, unable to parse string as an integer";
      throw new Violation(path, rule, value);
    }
  } else if (typeof value === "number" && !Number.isInteger(value)) {
    const rule = "Input should be a valid integer, got a number with a fractional part";
    throw new Violation(path, rule, value);
  } else if (typeof value !== "number" && typeof value !== "bigint") {
    throw new Violation(path, "Input should be a valid integer", value);
  }
  return bounded(Number(value), schema, path, value);
}

function number(value: unknown, schema: Schema, path: readonly string[]): number {
  const found = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof value === "string" && !Number.isFinite(found)) {
    const rule = "Input should be a valid number, unable to parse string as a number";
    throw new Violation(path, rule, value);
  }
  if (typeof found !== "number" && typeof found !== "bigint") {
    throw new Violation(path, "Input should be a valid number", value);
  }
  if (!Number.isFinite(Number(found))) {
    throw new Violation(path, "Input should be a finite number", value);
  }
  return bounded(Number(found), schema, path, value);
}

function bounded(found: number, schema: Schema, path: readonly string[], value: unknown): number {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  let rule: string | undefined;
  if (maximum !== undefined && found > maximum) rule = `less than or equal to ${maximum}`;
  else if (exclusiveMaximum !== undefined && found >= exclusiveMaximum)
    rule = `less than ${exclusiveMaximum}`;
  else if (minimum !== undefined && found < minimum) rule = `greater than or equal to ${minimum}`;
  else if (exclusiveMinimum !== undefined && found <= exclusiveMinimum)
    rule = `greater than ${exclusiveMinimum}`;
  if (rule !== undefined) throw new Violation(path, `Input should be ${rule}`, value);
  return found;
}

function truth(value: unknown, path: readonly string[]): boolean {
  if (typeof value === "boolean") return value;
  const word = typeof value === "string" ? value.toLowerCase() : value;
  if (word === "true" || word === "1" || word === "yes" || word === "on" || word === 1) return true;
  if (word === "false" || word === "0" || word === "no" || word === "off" || word === 0) return false;
  throw new Violation(path, "Input should be a valid boolean, unable to interpret input", value);
}

const MAX_WEI = 2n ** 128n - 1n;

function wei(value: unknown, _schema: Schema, path: readonly string[]): bigint {
  if (typeof value === "string" && !/^\d+$/.test(value)) {
    throw new Violation(path, `Value error, ${repr(value)} is not a whole number of wei`, value);
  }
  if (typeof value === "number" && !Number.isInteger(value)) {
    const rule = "Input should be a valid integer, got a number with a fractional part";
    throw new Violation(path, rule, value);
  }
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") {
    throw new Violation(path, "Input should be a valid integer", value);
  }
  const found = BigInt(value);
  if (found < 0n) throw new Violation(path, "Input should be greater than or equal to 0", value);
  if (found > MAX_WEI) throw new Violation(path, `Input should be less than or equal to ${MAX_WEI}`, value);
  return found;
}
