/** `openmined-mine status FOLDER`: whether it runs, its address, the work in hand. No passphrase. */
import { submissionJson, sumEarnings } from "../accounts.ts";
import { foldEvents } from "../campaigns.ts";
import { listDatasets } from "../datasets.ts";
import { isRunning, MineFolder } from "../folder.ts";
import { isFinal } from "../ledger.ts";
import { repr, sortedTexts } from "../text.ts";
import { printJson, readArguments, say } from "./options.ts";

export async function status(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER"], { json: { type: "boolean" } });
  const mine = new MineFolder(given.positionals[0] ?? "");
  const ledger = mine.ledger();
  const settings = mine.settings();
  ledger.check();
  const { address } = mine;
  const views = foldEvents(ledger.events(), address);
  const submissions = ledger.submissions();
  ledger.close();
  const phases = [...views.values()].map((view) => view.phase);
  const campaigns = Object.fromEntries(
    sortedTexts(new Set(phases)).map((phase) => [phase, phases.filter((item) => item === phase).length]),
  );
  const value = {
    name: settings.name,
    address,
    network: settings.network.name,
    running: isRunning(mine.path),
    datasets: listDatasets(mine).length,
    campaigns,
    in_hand: submissions.filter((s) => !isFinal(s)).map(submissionJson),
    earnings: sumEarnings(submissions, views).tokens,
  };
  if (given.flag("json")) return printJson(value);
  say(`${value.name} (${address}) on ${value.network}`);
  say(value.running ? "running" : "not running");
  const seen = phases.length > 0 ? repr(campaigns) : "none";
  say(`${value.datasets} datasets; campaigns seen: ${seen}`);
  for (const { campaign, version, step } of submissions.filter((s) => !isFinal(s))) {
    say(`campaign ${campaign}, version ${version}: ${step}`);
  }
}
