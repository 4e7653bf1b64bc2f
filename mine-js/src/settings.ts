/** mine.toml: where the network is, how the loop behaves, and what the owner permits. */
import { chmodSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NotAMine, SettingsError, textOf } from "./errors.ts";
import { SCHEMAS } from "./generated/schemas.ts";
import { type DatasetPermission, permissionRule } from "./permissions.ts";
import { check, type Schema, Violation } from "./schema.ts";
import { cut, isObject, repr } from "./text.ts";
import { dumpToml, parseToml, type TomlTable } from "./toml.ts";

export const SETTINGS_FILE = "mine.toml";
const FORMAT = "openmined/mine@1";
const PREFIX = "OPENMINED_MINE_";
const RULES = { DatasetPermission: permissionRule };
const COMMENTS = {
  "": "A mine's settings. Documented in docs/mine-folder.md. No secret belongs here.",
  permissions: "Deny by default: a dataset without a table here serves no campaign.",
};

export interface MineSettings {
  name: string;
  network: {
    name: string;
    chain_id: number;
    rpc_url: string;
    sonar: string;
    store_url: string;
    gateway_url: string | null;
    from_block: number;
  };
  loop: { poll_interval_s: number; patience: number; retry_s: number; max_fee_gwei: number };
  limits: { memory_mb: number; seconds: number; download_mb: number };
  training: { executor: string };
  api: { enabled: boolean; host: string; port: number; allowed_hosts: string[]; session_s: number };
  reporting: { enabled: boolean; url: string | null; interval_s: number };
  permissions: Record<string, DatasetPermission>;
}

export function loadSettings(folder: string): MineSettings {
  return parseSettings(readSettings(folder), join(folder, SETTINGS_FILE));
}

/** Return what mine.toml itself says, for editing. */
export function readSettings(folder: string): TomlTable {
  const place = join(folder, SETTINGS_FILE);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(place));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new NotAMine(`${folder} holds no mine: make one with \`openmined mine init\``);
    }
    throw new SettingsError(`${place} is no TOML: ${textOf(error)}`);
  }
  try {
    return parseToml(text);
  } catch (error) {
    throw new SettingsError(`${place} is no TOML: ${textOf(error).split("\n")[0]}`);
  }
}

/** Check settings that were read from `place`; the environment overrides them. */
export function parseSettings(value: TomlTable, place: string): MineSettings {
  if ("format" in value && value.format !== FORMAT) {
    const found = repr(cut(String(value.format), 80));
    throw new SettingsError(`${place} is of format ${found}; this software reads ${repr(FORMAT)}`);
  }
  try {
    const given = { permissions: {}, ...overridden(value, process.env) };
    return check(given, SCHEMAS.settings, RULES) as MineSettings;
  } catch (error) {
    if (error instanceof Violation) throw new SettingsError(`${place}: ${error.describe("settings")}`);
    throw error;
  }
}

/** Write mine.toml, if what it says is valid. */
export function saveSettings(folder: string, value: TomlTable): MineSettings {
  const place = join(folder, SETTINGS_FILE);
  const settings = parseSettings(value, place);
  const partial = `${place}.partial`;
  writeFileSync(partial, dumpToml(value, COMMENTS), { mode: 0o600 });
  chmodSync(partial, 0o600);
  renameSync(partial, place);
  return settings;
}

function overridden(value: TomlTable, environment: NodeJS.ProcessEnv): TomlTable {
  const known = Object.keys(SCHEMAS.settings.properties ?? {});
  const result = structuredClone(value);
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || !name.toUpperCase().startsWith(PREFIX)) continue;
    const path = name.slice(PREFIX.length).toLowerCase().split("__");
    if (path[0] !== undefined && known.includes(path[0])) assign(result, path, parsed(text));
  }
  return result;
}

function parsed(text: string): unknown {
  if (!/^[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function assign(table: TomlTable, path: string[], value: unknown): void {
  const [name = "", ...rest] = path;
  if (rest.length === 0) {
    table[name] = value;
    return;
  }
  if (!isObject(table[name])) table[name] = {};
  assign(table[name] as TomlTable, rest, value);
}

export function permissionOf(settings: MineSettings, dataset: string): DatasetPermission {
  return settings.permissions[dataset] ?? checkPermission({});
}

/** Check a permission by itself; throws Violation. */
export function checkPermission(value: unknown): DatasetPermission {
  const schema: Schema = { $ref: "#/$defs/DatasetPermission" };
  return check(value, schema, RULES, SCHEMAS.settings) as DatasetPermission;
}

/** Write a permission as JSON values: amounts as text, nothing that is not set. */
export function permissionJson(permission: DatasetPermission): Record<string, unknown> {
  const given = Object.entries(permission).filter(([, item]) => item !== null);
  return Object.fromEntries(
    given.map(([name, item]) => [name, typeof item === "bigint" ? item.toString() : item]),
  );
}

/** Write a permission as the values of its table: amounts as text, no empty lists. */
export function permissionTable(permission: DatasetPermission): TomlTable {
  const values = Object.entries(permissionJson(permission));
  const kept = values.filter(([, item]) => !(Array.isArray(item) && item.length === 0));
  return Object.fromEntries(
    kept.map(([name, item]) => [name, name === "max_rounds" ? BigInt(item as number) : item]),
  );
}

/** Write the values of a section as TOML wants them: whole numbers as bigint. */
export function tomlValues(value: unknown, schema: Schema): unknown {
  if (schema.$ref !== undefined) {
    return tomlValues(value, SCHEMAS.settings.$defs?.[schema.$ref.split("/").at(-1) ?? ""] ?? {});
  }
  if (isObject(value)) {
    const pairs = Object.entries(value).filter(([, item]) => item !== null);
    return Object.fromEntries(
      pairs.map(([name, item]) => [name, tomlValues(item, schema.properties?.[name] ?? {})]),
    );
  }
  return schema.type === "integer" && typeof value === "number" ? BigInt(value) : value;
}
