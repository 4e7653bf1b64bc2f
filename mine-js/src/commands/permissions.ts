/** `openmined-mine permissions FOLDER DATASET --mode ask --fields text --set max_rounds=8`. */
import { loadDataset, rowsOf } from "../datasets.ts";
import { explainExposure } from "../exposure.ts";
import { MineFolder } from "../folder.ts";
import type { DatasetPermission } from "../permissions.ts";
import { changePermission, parseChanges } from "../permit.ts";
import { permissionJson, permissionOf } from "../settings.ts";
import { Float } from "../text.ts";
import { printJson, readArguments, say } from "./options.ts";

const OPTIONS = {
  mode: { type: "string" },
  fields: { type: "string", multiple: true },
  set: { type: "string", multiple: true },
  json: { type: "boolean" },
} as const;

export async function permissions(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER", "[DATASET]"], OPTIONS);
  const [path = "", dataset] = given.positionals;
  const mine = new MineFolder(path);
  if (dataset === undefined) {
    const all = Object.entries(mine.settings().permissions);
    return printJson(Object.fromEntries(all.map(([name, item]) => [name, shown(item)])));
  }
  const known = loadDataset(mine, dataset);
  const changes = parseChanges(given.texts("set"));
  const mode = given.text("mode");
  if (mode !== undefined) changes.mode = mode;
  if (given.texts("fields").length > 0) changes.fields = given.texts("fields");
  const permission =
    Object.keys(changes).length > 0
      ? changePermission(mine, dataset, changes)
      : permissionOf(mine.settings(), dataset);
  if (given.flag("json")) return printJson(shown(permission));
  for (const line of explainExposure(permission, known.schema, rowsOf(known))) say(line);
}

function shown(permission: DatasetPermission): Record<string, unknown> {
  const value = permissionJson(permission);
  for (const name of ["cpu_share", "epsilon_budget"]) {
    if (typeof value[name] === "number") value[name] = new Float(value[name]);
  }
  return value;
}
