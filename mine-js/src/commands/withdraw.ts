/** `openmined-mine withdraw FOLDER`: have everything that Sonar owes to this mine paid out. */
import { MineFolder } from "../folder.ts";
import { readPassphrase } from "../passphrase.ts";
import { withdrawNow } from "../withdraw.ts";
import { printJson, readArguments, say } from "./options.ts";

const OPTIONS = {
  token: { type: "string" },
  "wait-s": { type: "string" },
  "passphrase-file": { type: "string" },
  json: { type: "boolean" },
} as const;

export async function withdraw(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER"], OPTIONS);
  const mine = new MineFolder(given.positionals[0] ?? "");
  const passphrase = () => readPassphrase(given.text("passphrase-file"));
  const done = await withdrawNow(mine, given.text("token"), given.number("wait-s") ?? 120, passphrase);
  if (given.flag("json")) {
    return printJson({ state: done.state, amount_wei: String(done.amount ?? 0n), tx: done.tx });
  }
  say(`${done.amount} wei were paid out in transaction ${done.tx}.`);
}
