/** The networks this machine knows: ~/.openmined/networks.json, or in what OPENMINED_HOME names. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { NetworksFileError, textOf, UnknownNetwork } from "./errors.ts";
import { isObject, repr, sortedTexts } from "./text.ts";
import type { TomlTable } from "./toml.ts";

/** Return a network as the `[network]` table of mine.toml. */
export function loadNetwork(name: string): TomlTable {
  const path = join(process.env.OPENMINED_HOME || join(homedir(), ".openmined"), "networks.json");
  const networks = readNetworks(path);
  const found = networks.find((network) => network.name === name);
  if (found === undefined) {
    const known = sortedTexts(networks.map((network) => String(network.name))).join(", ") || "none";
    const advice = name === "devnet" ? "start it with `openmined up`" : "add it";
    throw new UnknownNetwork(
      `no network ${repr(name)} in ${path} (known: ${known}): ${advice}, ` +
        "see `openmined network add --help`",
    );
  }
  return {
    name: found.name,
    chain_id: BigInt(Number(found.chain_id)),
    rpc_url: found.rpc_url,
    sonar: found.sonar,
    store_url: found.store_url,
    ...(found.gateway_url ? { gateway_url: found.gateway_url } : {}),
    from_block: BigInt(Number(found.first_block ?? 0)),
  };
}

function readNetworks(path: string): Record<string, unknown>[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new NetworksFileError(`cannot read ${path}: ${textOf(error)}`);
  }
  try {
    const value: unknown = JSON.parse(text);
    const networks = isObject(value) ? value.networks : undefined;
    if (Array.isArray(networks) && networks.every(isObject)) return networks;
  } catch {
    // Told below.
  }
  throw new NetworksFileError(`${path} is damaged. Mend it, or remove it and add the networks again`);
}
