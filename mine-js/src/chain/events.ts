/** The contract's logs as the ledger keeps events: whole numbers as text, bytes as hexadecimal. */
import { decodeEventLog } from "viem/utils";
import { ChainError } from "../errors.ts";
import { SONAR_ABI } from "../generated/sonar.ts";
import type { StoredEvent } from "../ledger.ts";
import { isObject } from "../text.ts";
import { type Rpc, RpcRefused } from "./rpc.ts";
import type { RawLog } from "./sender.ts";

/** Read a log; undefined if it is no event of the contract. */
export function decodeLog(log: RawLog): StoredEvent | undefined {
  let name: string;
  let found: Record<string, unknown>;
  try {
    const decoded = decodeEventLog({
      abi: SONAR_ABI,
      data: log.data,
      topics: log.topics as [`0x${string}`, ...`0x${string}`[]],
    });
    name = decoded.eventName;
    found = decoded.args as unknown as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { campaign, ...others } = found;
  return {
    block: Number(log.blockNumber),
    log_index: Number(log.logIndex),
    block_hash: log.blockHash,
    tx: log.transactionHash,
    name,
    campaign: campaign === undefined ? null : Number(campaign),
    arguments: plain(others) as Record<string, unknown>,
  };
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint" || typeof value === "number") return value.toString();
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
  }
  // bytes32 loses its 0x, an address keeps it.
  return typeof value === "string" && /^0x[0-9a-f]{64}$/.test(value) ? value.slice(2) : value;
}

/** Return the contract's logs of a range of blocks; ranges too large for the node are halved. */
export async function fetchLogs(rpc: Rpc, address: string, from: number, to: number): Promise<RawLog[]> {
  const range = { fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}` };
  try {
    const logs = await rpc.call<RawLog[]>("eth_getLogs", { address, ...range });
    if (!Array.isArray(logs)) throw new ChainError("the node answered eth_getLogs with no list");
    return logs;
  } catch (error) {
    if (!(error instanceof RpcRefused) || from === to) throw error;
    const middle = Math.floor((from + to) / 2);
    const older = await fetchLogs(rpc, address, from, middle);
    return [...older, ...(await fetchLogs(rpc, address, middle + 1, to))];
  }
}
