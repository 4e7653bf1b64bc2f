/** The part of JSON Schema (draft 2020-12) that our published schemas use. */

export interface JsonSchema {
  readonly [key: string]: unknown;
}

/** Says where and why a value breaks a schema, or undefined. `root` holds the definitions. */
export function findFault(value: unknown, schema: JsonSchema, root: JsonSchema, place = "document"): string | undefined {
  if (typeof schema.$ref === "string") return findFault(value, resolve(schema.$ref, root), root, place);
  const choices = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (choices) return findFaultInChoice(value, schema, choices, root, place);
  if ("const" in schema && value !== schema.const) return `${place} is not ${JSON.stringify(schema.const)}`;
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return `${place} is none of ${schema.enum.join(", ")}`;
  if (typeof schema.type === "string" && !isOfType(value, schema.type)) return `${place} is no ${schema.type}`;
  if (typeof value === "string") return textFault(value, schema, place);
  if (typeof value === "number") return numberFault(value, schema, place);
  if (Array.isArray(value)) return listFault(value, schema, root, place);
  if (value !== null && typeof value === "object") return objectFault(value as Record<string, unknown>, schema, root, place);
  return undefined;
}

function findFaultInChoice(value: unknown, schema: JsonSchema, choices: JsonSchema[], root: JsonSchema, place: string): string | undefined {
  const discriminator = schema.discriminator as { mapping: Record<string, string>; propertyName: string } | undefined;
  if (discriminator && value !== null && typeof value === "object") {
    const kind = String((value as Record<string, unknown>)[discriminator.propertyName]);
    const target = Object.hasOwn(discriminator.mapping, kind) ? discriminator.mapping[kind] : undefined;
    if (!target) return `${place} is of unknown kind ${JSON.stringify(kind.slice(0, 40))}`;
    return findFault(value, resolve(target, root), root, place);
  }
  const faults = choices.map((choice) => findFault(value, choice, root, place));
  return faults.some((fault) => fault === undefined) ? undefined : faults[0];
}

function resolve(reference: string, root: JsonSchema): JsonSchema {
  const name = reference.replace("#/$defs/", "");
  const found = (root.$defs as Record<string, JsonSchema> | undefined)?.[name];
  if (!found) throw new Error(`the schema has no ${reference}`);
  return found;
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return value !== null && typeof value === "object" && !Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function textFault(text: string, schema: JsonSchema, place: string): string | undefined {
  const length = typeof schema.maxLength === "number" || typeof schema.minLength === "number" ? [...text].length : 0;
  if (length > (schema.maxLength as number)) return `${place} has ${length} characters, at most ${schema.maxLength} are allowed`;
  if (length < (schema.minLength as number)) return `${place} is empty or too short`;
  if (typeof schema.pattern === "string" && !new RegExp(schema.pattern, "u").test(text)) return `${place} is malformed`;
  return undefined;
}

function numberFault(value: number, schema: JsonSchema, place: string): string | undefined {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema as Record<string, number | undefined>;
  const below = (minimum !== undefined && value < minimum) || (exclusiveMinimum !== undefined && value <= exclusiveMinimum);
  const above = (maximum !== undefined && value > maximum) || (exclusiveMaximum !== undefined && value >= exclusiveMaximum);
  return below || above ? `${place} = ${value} is out of range` : undefined;
}

function listFault(list: readonly unknown[], schema: JsonSchema, root: JsonSchema, place: string): string | undefined {
  if (list.length > (schema.maxItems as number)) return `${place} has more than ${schema.maxItems} items`;
  if (list.length < (schema.minItems as number)) return `${place} has fewer than ${schema.minItems} items`;
  for (const [at, item] of list.entries()) {
    const fault = schema.items ? findFault(item, schema.items as JsonSchema, root, `${place}.${at}`) : undefined;
    if (fault) return fault;
  }
  return undefined;
}

function objectFault(value: Record<string, unknown>, schema: JsonSchema, root: JsonSchema, place: string): string | undefined {
  const properties = (schema.properties ?? {}) as Record<string, JsonSchema>;
  const missing = ((schema.required ?? []) as string[]).find((name) => value[name] === undefined);
  if (missing) return `${place} lacks ${missing}`;
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (!known && schema.additionalProperties === false) return `${place} has an unknown member ${JSON.stringify(name.slice(0, 40))}`;
    const fault = known && findFault(item, known, root, place === "document" ? name : `${place}.${name}`);
    if (fault) return fault;
  }
  return undefined;
}
