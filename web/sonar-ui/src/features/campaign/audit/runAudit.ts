/** Loaded when somebody audits: the chain's and the manifests' code is not on the first page. */

import { type AuditReport, auditCampaign } from "@openmined/shared/sonar";
import { connectStore } from "@openmined/shared/store";
import { Refusal } from "@openmined/shared/ui";
import type { EIP1193Provider } from "viem";
import type { NetworkInfo } from "../../../shared/api";
import { placeOf, readerOf } from "../../../shared/chain";

export async function runAudit(network: NetworkInfo, campaign: number, provider?: EIP1193Provider): Promise<AuditReport> {
  if (!network.gateway_url) {
    throw new Refusal("No store is known", "The operator of this page names none, so the receipts cannot be read.");
  }
  const store = connectStore(network.gateway_url);
  return auditCampaign(readerOf(network, provider), placeOf(network), store, BigInt(campaign));
}
