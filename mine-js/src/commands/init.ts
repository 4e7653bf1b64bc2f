/** `openmined-mine init FOLDER --network devnet`: make a mine. Nothing is permitted yet. */
import { SettingsError } from "../errors.ts";
import { createMine } from "../folder.ts";
import { loadNetwork } from "../networks.ts";
import { readPassphrase } from "../passphrase.ts";
import type { TomlTable } from "../toml.ts";
import { type Given, printJson, readArguments, say } from "./options.ts";

const TEXT = { type: "string" } as const;
const OPTIONS = {
  name: TEXT,
  network: TEXT,
  "rpc-url": TEXT,
  "chain-id": TEXT,
  sonar: TEXT,
  "store-url": TEXT,
  "gateway-url": TEXT,
  "from-block": TEXT,
  "poll-interval-s": TEXT,
  keystore: TEXT,
  "light-kdf": { type: "boolean" },
  "passphrase-file": TEXT,
  json: { type: "boolean" },
} as const;

export async function init(args: string[]): Promise<void> {
  const given = readArguments(args, ["FOLDER"], OPTIONS);
  const [path = ""] = given.positionals;
  const settings = {
    format: "openmined/mine@1",
    name: given.text("name") ?? "mine",
    network: networkTable(given),
    loop: { poll_interval_s: given.number("poll-interval-s") ?? 5.0 },
  };
  const passphrase = await readPassphrase(given.text("passphrase-file"), true);
  const cost = given.flag("light-kdf") ? "light" : "standard";
  const { folder, address } = await createMine(path, settings, passphrase, cost, given.text("keystore"));
  if (given.flag("json")) return printJson({ folder: folder.path, address });
  say(`A mine was made in ${folder.path}.`);
  say(`Its address is ${address}: send it some ether for bonds and gas.`);
  say("Next: `openmined mine import`, then `openmined mine permissions`.");
}

function networkTable(given: Given): TomlTable {
  const network = given.text("network");
  if (network !== undefined) return loadNetwork(network);
  const rpc_url = given.text("rpc-url");
  const chain_id = given.number("chain-id");
  const sonar = given.text("sonar");
  const store_url = given.text("store-url");
  if (!rpc_url || chain_id === undefined || !sonar || !store_url) {
    throw new SettingsError("give --network NAME, or all of --rpc-url --chain-id --sonar --store-url");
  }
  const gateway_url = given.text("gateway-url");
  return {
    name: "own",
    chain_id: BigInt(chain_id),
    rpc_url,
    sonar,
    store_url,
    ...(gateway_url === undefined ? {} : { gateway_url }),
    from_block: BigInt(given.number("from-block") ?? 0),
  };
}
