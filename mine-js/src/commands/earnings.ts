/** `openmined-mine earnings FOLDER`: what was earned, by campaign. No passphrase, no network. */
import { sumEarnings } from "../accounts.ts";
import { foldEvents } from "../campaigns.ts";
import { MineFolder } from "../folder.ts";
import { ETHER } from "../permissions.ts";
import { formatWei } from "../text.ts";
import { printJson, readArguments, say } from "./options.ts";

export async function earnings(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER"], { json: { type: "boolean" } });
  const mine = new MineFolder(given.positionals[0] ?? "");
  const ledger = mine.ledger();
  const found = sumEarnings(ledger.submissions(), foldEvents(ledger.events(), mine.address));
  ledger.close();
  if (given.flag("json")) return printJson(found);
  for (const row of found.campaigns) {
    const ether = row.token === ETHER;
    const amount = ether ? formatWei(BigInt(row.earned_wei)) : `${row.earned_wei} units of ${row.token}`;
    say(
      `campaign ${row.campaign}: ${row.gradients} gradients, ${row.scored} scored, ` +
        `${row.paid} paid, ${row.rejected} rejected: ${amount}`,
    );
  }
  if (found.campaigns.length === 0) say("nothing yet");
}
