/** `openmined-mine decisions FOLDER [--approve 3:tweets]`: every decision with its reasons. */
import { MineFolder } from "../folder.ts";
import { decisionText } from "../permissions.ts";
import { parsePair } from "../permit.ts";
import { printRows, readArguments } from "./options.ts";

const OPTIONS = {
  approve: { type: "string" },
  refuse: { type: "string" },
  all: { type: "boolean" },
  json: { type: "boolean" },
} as const;

export async function decisions(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER"], OPTIONS);
  const ledger = new MineFolder(given.positionals[0] ?? "").ledger();
  try {
    const approve = given.text("approve");
    const refuse = given.text("refuse");
    if (approve !== undefined) ledger.giveAnswer(...parsePair(approve), "approved");
    if (refuse !== undefined) ledger.giveAnswer(...parsePair(refuse), "refused");
    const rows = ledger.decisions(!given.flag("all")).map((record) => ({
      campaign: record.campaign,
      dataset: record.dataset,
      verdict: record.verdict,
      reason: decisionText(record),
      at: record.at,
    }));
    printRows(rows, given.flag("json"), "no campaign was seen yet");
  } finally {
    ledger.close();
  }
}
