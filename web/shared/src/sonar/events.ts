/** The contract's events of one campaign, read from a node and decoded. */

import { type Address, type Hex, type Log, type ParseEventLogsReturnType, type PublicClient, parseEventLogs } from "viem";
import { sonarAbi } from "../generated/abi";

export type SonarEvent = ParseEventLogsReturnType<typeof sonarAbi, undefined, true, undefined>[number];
export type EventOf<Name extends SonarEvent["eventName"]> = Extract<SonarEvent, { eventName: Name }>;

const SPAN = 50_000n;

/** Where the contract is: the chain, its address and its first block. */
export interface SonarPlace {
  readonly chainId: number;
  readonly contract: Address;
  readonly firstBlock: bigint;
}

/** Reads every event of a campaign up to a block, in the order of the chain. */
export async function readEvents(client: PublicClient, place: SonarPlace, campaign: bigint, last: bigint): Promise<SonarEvent[]> {
  const topic: Hex = `0x${campaign.toString(16).padStart(64, "0")}`;
  const logs: Log[] = [];
  for (let from = place.firstBlock; from <= last; from += SPAN) {
    const to = from + SPAN - 1n < last ? from + SPAN - 1n : last;
    logs.push(...(await logsOf(client, place.contract, from, to)));
  }
  const events = parseEventLogs({ abi: sonarAbi, logs, strict: true });
  return events.filter((event) => event.eventName !== "Withdrawn" && event.topics[1] === topic);
}

async function logsOf(client: PublicClient, address: Address, from: bigint, to: bigint): Promise<Log[]> {
  try {
    return await client.getLogs({ address, fromBlock: from, toBlock: to });
  } catch (error) {
    if (from === to) throw error; // a node that gives less at once: halves, down to single blocks
    const middle = (from + to) / 2n;
    return [...(await logsOf(client, address, from, middle)), ...(await logsOf(client, address, middle + 1n, to))];
  }
}
