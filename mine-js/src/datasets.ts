/** Datasets as dataset.json describes them. Their rows are read by the `openmined` command only. */
import { lstatSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatasetDamaged, UnknownDataset } from "./errors.ts";
import type { MineFolder } from "./folder.ts";
import { SCHEMAS } from "./generated/schemas.ts";
import { MANIFEST_RULES, type TableSchema } from "./manifests.ts";
import { check, Violation } from "./schema.ts";
import { byCodePoint, cut, repr } from "./text.ts";

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

export interface DatasetPart {
  file: string;
  rows: number;
  bytes: number;
  sha256: string;
  imported: string;
}

export interface Dataset {
  name: string;
  schema: TableSchema;
  identity: string[];
  parts: DatasetPart[];
}

export function rowsOf(dataset: Dataset): number {
  return dataset.parts.reduce((sum, part) => sum + part.rows, 0);
}

export function listDatasets(folder: MineFolder): Dataset[] {
  let names: string[];
  try {
    names = readdirSync(folder.datasets).sort(byCodePoint);
  } catch {
    return [];
  }
  return names
    .filter((name) => NAME.test(name) && isThere(join(folder.datasets, name, "dataset.json")))
    .map((name) => loadDataset(folder, name));
}

export function loadDataset(folder: MineFolder, name: string): Dataset {
  const about = join(place(folder, name), "dataset.json");
  let text: string;
  try {
    text = readFileSync(about, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new UnknownDataset(`there is no dataset ${repr(name)}; see \`openmined mine datasets\``);
  }
  try {
    return check(JSON.parse(text), SCHEMAS.dataset, MANIFEST_RULES) as Dataset;
  } catch (error) {
    if (!(error instanceof Violation || error instanceof SyntaxError)) throw error;
    throw new DatasetDamaged(`${about} is damaged: restore it from a backup, or delete the dataset`);
  }
}

/** Delete a dataset's bytes and every cache of them. The ledger keeps what was decided and paid. */
export function deleteDataset(folder: MineFolder, name: string): void {
  const path = place(folder, name);
  if (!(statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false)) {
    throw new UnknownDataset(`there is no dataset ${repr(name)}; see \`openmined mine datasets\``);
  }
  // The description goes first: killed in between, the dataset is gone, and its bytes on the next.
  rmSync(join(path, "dataset.json"), { force: true });
  if (lstatSync(path).isSymbolicLink()) rmSync(path);
  else rmSync(path, { recursive: true, force: true });
  forgetCaches(folder, name);
}

/** Delete every cached or released statistic that a dataset is part of. */
export function forgetCaches(folder: MineFolder, name: string): void {
  for (const root of [folder.cache, folder.releases]) {
    for (const entry of entriesOf(root).filter((item) => item.endsWith(".json"))) {
      if (namedIn(join(root, entry)).includes(name)) {
        rmSync(join(root, entry.replace(/\.json$/, ".age")), { force: true });
        rmSync(join(root, entry), { force: true });
      }
    }
  }
}

/** Return the datasets that a campaign's noisy release was made from; null if there is none. */
export function releaseDatasets(folder: MineFolder, spec: string): string[] | null {
  if (!isThere(join(folder.releases, `${spec}.age`))) return null;
  const about = join(folder.releases, `${spec}.json`);
  const names = namedIn(about);
  if (names.length === 0) {
    throw new DatasetDamaged(`${about} is damaged: restore it from a backup`);
  }
  return names;
}

function namedIn(about: string): string[] {
  try {
    const value = JSON.parse(readFileSync(about, "utf8")) as { datasets?: unknown };
    return Array.isArray(value.datasets) ? value.datasets.map(String) : [];
  } catch {
    return [];
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function place(folder: MineFolder, name: string): string {
  if (!NAME.test(name)) {
    throw new UnknownDataset(`${repr(cut(name, 80))} is no name of a dataset`);
  }
  return join(folder.datasets, name);
}
