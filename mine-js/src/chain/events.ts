/** The contract's logs as the ledger keeps events: whole numbers as text, bytes as hexadecimal. */
import { decodeEventLog } from "viem/utils";
import { ChainError } from "../errors.ts";
import { SONAR_ABI } from "../generated/sonar.ts";
import type { StoredEvent } from "../ledger.ts";
import { isObject } from "../text.ts";
import { type Hex, type RawLog, readLog } from "./answers.ts";
import { type Rpc, RpcRefused } from "./rpc.ts";

/** Read a log; undefined if it is no event of the contract. */
export function decodeLog(log: RawLog): StoredEvent | undefined {
  let name: string;
  let found: Record<string, unknown>;
  try {
    const decoded = decodeEventLog({
      abi: SONAR_ABI,
      data: log.data,
      topics: log.topics as [Hex, ...Hex[]],
    });
    name = decoded.eventName;
    found = decoded.args as unknown as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { campaign, ...others } = found;
  return {
    block: log.blockNumber,
    log_index: log.logIndex,
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
    return checked(await rpc.call<unknown>("eth_getLogs", { address, ...range }), address, from, to);
  } catch (error) {
    if (!(error instanceof RpcRefused) || from === to || !isTooMuch(error)) throw error;
    const middle = Math.floor((from + to) / 2);
    const older = await fetchLogs(rpc, address, from, middle);
    return [...older, ...(await fetchLogs(rpc, address, middle + 1, to))];
  }
}

const TOO_MUCH = ["range", "limit", "too many", "too large", "exceed", "more than", "response size"];

function isTooMuch(refusal: RpcRefused): boolean {
  const text = refusal.said.toLowerCase();
  return TOO_MUCH.some((sign) => text.includes(sign));
}

function checked(part: unknown, address: string, from: number, to: number): RawLog[] {
  if (!Array.isArray(part)) throw new ChainError("the node's logs cannot be read: use another node");
  const logs = part.filter((log) => log?.removed !== true).map(readLog);
  const ours = (log: RawLog) => log.address.toLowerCase() === address.toLowerCase();
  const inside = (log: RawLog) => from <= log.blockNumber && log.blockNumber <= to;
  if (!logs.every((log) => ours(log) && inside(log))) {
    throw new ChainError(
      `the node returned logs outside of blocks ${from} to ${to} or of another contract: ` +
        "use another node",
    );
  }
  return logs.sort((a, b) => a.blockNumber - b.blockNumber || a.logIndex - b.logIndex);
}
