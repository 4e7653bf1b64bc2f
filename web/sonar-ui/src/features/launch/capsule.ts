/** Finding Capsule's certificate: what validation sets are sealed to. */

import { decodeManifest } from "@openmined/shared/protocol";
import { cidOfDigest, type StoreClient } from "@openmined/shared/store";
import { fetchJson, Refusal } from "@openmined/shared/ui";
import type { Hex } from "viem";
import type { Campaign, NetworkInfo } from "../../shared/api";

/** What it published on chain for its latest campaigns; before the first one, what its own address serves. */
export async function findCertificate(network: NetworkInfo, store: StoreClient, capsule: string): Promise<string> {
  const { items } = await fetchJson<{ items: Campaign[] }>(`/v1/campaigns?capsule=${capsule}&limit=20`);
  for (const campaign of items) {
    if (!campaign.keys) continue;
    try {
      return decodeManifest(await store.getBlock(cidOfDigest(campaign.keys as Hex)), "openmined/keys@1").certificate;
    } catch {} // the one before it may still be on the store
  }
  const url = network.capsules.find(({ address }) => address === capsule)?.url;
  if (!url)
    throw new Refusal("Capsule’s certificate is not known", "It has opened no campaign yet, and the network names no address of it.");
  const answer = await fetch(`${url.replace(/\/$/, "")}/certificate`, { credentials: "omit", signal: AbortSignal.timeout(15_000) }).catch(
    () => undefined,
  );
  if (!answer?.ok)
    throw new Refusal("Capsule does not answer", "Its certificate is needed to seal your rows to it. Try again when it runs.");
  return answer.text();
}
