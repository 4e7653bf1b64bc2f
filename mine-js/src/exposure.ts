/** What a campaign could learn with given permissions, in plain words for the owner. */
import { fieldNames, type TableSchema } from "./manifests.ts";
import { ANY_FIELD, type DatasetPermission } from "./permissions.ts";

const FEW_ROWS = 100;
const NEVER =
  "Your rows never leave this machine. The data scientist, the chain and the store only ever " +
  "see encrypted numbers.";
const GRAM =
  "After about as many gradients as a campaign has features for each output, Capsule could " +
  "compute how your features go together (their sums of products). Fewer gradients tell less.";
const BATCH =
  "A campaign that trains a network is answered with sums over as few of your rows as it asks " +
  "for (128, if it does not say): of so few, with many features, Capsule could tell single rows, " +
  "and a Capsule that breaks the rules could read one exactly each time. With a privacy budget " +
  "no such campaign is served.";
const UNASKED = "Campaigns within these limits are served without asking you.";
const NETWORKS_ASKED =
  "Campaigns within these limits are served without asking you, but for those that train a " +
  "network: to have these served too, name the Capsules that you trust.";
const EXACT =
  "No privacy budget is set: what Capsule sees is exact, but for noise that keeps it from " +
  "reading more than the sums.";

/** Say what leaves the mine under a permission, and what could be computed from it. */
export function explainExposure(permission: DatasetPermission, schema: TableSchema, rows: number): string[] {
  if (permission.mode === "deny") {
    return ["No campaign may use this dataset. Nothing of it leaves this machine."];
  }
  const every = permission.fields.includes(ANY_FIELD);
  const allowed = fieldNames(schema).filter((name) => every || permission.fields.includes(name));
  if (allowed.length === 0) {
    return ["No field is permitted, so no campaign can use this dataset yet."];
  }
  const lines = [NEVER, `A campaign may train on: ${list(allowed)}.`, capsule(permission, rows), GRAM];
  if (rows < FEW_ROWS) {
    lines.push(`With only ${rows} rows a sum says much about each: set a privacy budget, or add rows.`);
  }
  lines.push(...(permission.epsilon_budget === null ? [BATCH, EXACT] : [budget(permission.epsilon_budget)]));
  const asked = permission.capsules.length === 0 && permission.epsilon_budget === null;
  if (permission.mode === "ask") lines.push("You are asked about each campaign.");
  else lines.push(asked ? NETWORKS_ASKED : UNASKED);
  return lines;
}

function capsule(permission: DatasetPermission, rows: number): string {
  return (
    "Capsule, the third party that holds a campaign's key, decrypts your gradients: sums over " +
    `your ${rows} rows, not the rows. It sees at most ${permission.max_rounds} a campaign.`
  );
}

function budget(epsilon: number): string {
  return (
    "Only campaigns with differential privacy for rows are served, until they have spent " +
    `epsilon ${Number(epsilon.toPrecision(6))} in all: what anybody sees then hardly depends on ` +
    "whether any one row is there."
  );
}

function list(names: string[], most = 12): string {
  const more = names.length > most ? ` and ${names.length - most} more` : "";
  return names.slice(0, most).join(", ") + more;
}
