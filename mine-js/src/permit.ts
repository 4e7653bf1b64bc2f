/** Changing permissions in mine.toml, and reading what the command line says of them. */
import { SettingsError } from "./errors.ts";
import type { MineFolder } from "./folder.ts";
import type { DatasetPermission } from "./permissions.ts";
import { Violation } from "./schema.ts";
import { checkPermission, permissionTable, readSettings, saveSettings } from "./settings.ts";
import { repr } from "./text.ts";
import { parseToml, type TomlTable } from "./toml.ts";

/** Change some criteria of a dataset's permission; the others stay. */
export function changePermission(
  folder: MineFolder,
  dataset: string,
  changes: Record<string, unknown>,
): DatasetPermission {
  const value = readSettings(folder.path);
  const tables = (value.permissions ?? {}) as Record<string, TomlTable>;
  let permission: DatasetPermission;
  try {
    permission = checkPermission({ ...tables[dataset], ...changes });
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    throw new SettingsError(`permission of ${repr(dataset)}: ${error.describe("permission")}`);
  }
  const permissions = { ...tables, [dataset]: permissionTable(permission) };
  saveSettings(folder.path, { ...value, permissions });
  return permission;
}

/** Read `NAME=VALUE` with TOML values; a bare word is a text. */
export function parseChanges(texts: readonly string[]): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  for (const text of texts) {
    const equals = text.indexOf("=");
    const name = text.slice(0, Math.max(0, equals)).trim();
    if (equals < 0 || name === "") {
      throw new SettingsError(`${repr(text)} is not NAME=VALUE, such as max_rounds=8`);
    }
    changes[name] = tomlValue(text.slice(equals + 1));
  }
  return changes;
}

function tomlValue(text: string): unknown {
  try {
    return parseToml(`value = ${text}`).value;
  } catch {
    return text.trim();
  }
}

/** Read `CAMPAIGN:DATASET`. */
export function parsePair(text: string): [number, string] {
  const [campaign = "", ...rest] = text.split(":");
  const dataset = rest.join(":");
  if (!/^\d+$/.test(campaign) || dataset === "") {
    throw new SettingsError(`${repr(text)} is not CAMPAIGN:DATASET, such as 3:tweets`);
  }
  return [Number(campaign), dataset];
}
