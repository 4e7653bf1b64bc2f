/** One campaign, read from the contract and audited at one and the same block. */

import type { PublicClient } from "viem";
import { sonarAbi } from "../generated/abi";
import { PHASES } from "../protocol/names";
import type { StoreClient } from "../store";
import { type AuditReport, auditHistory, type ContractState } from "./audit";
import { readEvents, type SonarPlace } from "./events";
import { foldHistory } from "./history";

export async function readState(client: PublicClient, place: SonarPlace, campaign: bigint, blockNumber: bigint): Promise<ContractState> {
  const found = await client.readContract({
    address: place.contract,
    abi: sonarAbi,
    functionName: "campaign",
    args: [campaign],
    blockNumber,
  });
  return {
    phase: PHASES[Number(found.phase)] ?? "unknown",
    bounty: found.terms.bounty,
    paid: found.paid,
    bestPpm: found.best_ppm,
    gradients: found.gradients,
    batches: found.batches,
  };
}

export async function auditCampaign(client: PublicClient, place: SonarPlace, store: StoreClient, campaign: bigint): Promise<AuditReport> {
  const head = await client.getBlockNumber();
  const state = await readState(client, place, campaign, head);
  const history = foldHistory(await readEvents(client, place, campaign, head));
  return auditHistory(place, store, history, state);
}
