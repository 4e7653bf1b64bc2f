/** `openmined-mine start FOLDER`: run the mine until it is stopped; `--once` makes one pass. */
import { MineFolder } from "../folder.ts";
import { readPassphrase } from "../passphrase.ts";
import { runMine } from "../run.ts";
import { readArguments, say } from "./options.ts";

const OPTIONS = {
  once: { type: "boolean" },
  quiet: { type: "boolean" },
  "passphrase-file": { type: "string" },
} as const;

export async function start(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER"], OPTIONS);
  const mine = new MineFolder(given.positionals[0] ?? "");
  mine.settings();
  const secrets = await mine.unlock(await readPassphrase(given.text("passphrase-file")));
  const once = given.flag("once");
  await runMine(mine, secrets, given.flag("quiet") ? { once } : { once, listener: say });
}
