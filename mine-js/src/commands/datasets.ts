/** `openmined-mine datasets FOLDER`: show the datasets, or `--delete NAME` one. */
import { createInterface } from "node:readline/promises";
import { deleteDataset, listDatasets, rowsOf } from "../datasets.ts";
import { MineFolder } from "../folder.ts";
import { fieldNames } from "../manifests.ts";
import { permissionOf } from "../settings.ts";
import { Float, repr } from "../text.ts";
import { printRows, readArguments, say } from "./options.ts";

const OPTIONS = {
  delete: { type: "string" },
  yes: { type: "boolean" },
  json: { type: "boolean" },
} as const;

export async function datasets(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER"], OPTIONS);
  const mine = new MineFolder(given.positionals[0] ?? "");
  const name = given.text("delete");
  if (name !== undefined) return remove(mine, name, given.flag("yes"));
  const settings = mine.settings();
  const ledger = mine.ledger();
  const rows = listDatasets(mine).map((dataset) => ({
    name: dataset.name,
    rows: rowsOf(dataset),
    fields: fieldNames(dataset.schema),
    schema: dataset.schema.id ?? null,
    imports: dataset.parts.length,
    mode: permissionOf(settings, dataset.name).mode,
    epsilon_spent: new Float(ledger.epsilonSpent(dataset.name)),
  }));
  ledger.close();
  printRows(rows, given.flag("json"), "no dataset yet: see `openmined mine import`");
}

async function remove(mine: MineFolder, name: string, sure: boolean): Promise<void> {
  if (!sure) {
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await lines.question(`Delete dataset ${repr(name)} for good? [y/N]: `);
    lines.close();
    if (!/^y(es)?$/i.test(answer.trim())) {
      process.stderr.write("Aborted.\n");
      process.exitCode = 1;
      return;
    }
  }
  deleteDataset(mine, name);
  say(`${repr(name)} is deleted.`);
}
