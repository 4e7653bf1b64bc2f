import { decodeManifest } from "@openmined/shared/protocol";
import { cidOfDigest, connectStore } from "@openmined/shared/store";
import { Refusal } from "@openmined/shared/ui";
import type { Hex } from "viem";
import type { NetworkInfo } from "./api";

/** Fetches the delivered message, verified down from the digest on chain. */
export async function fetchDelivery(network: NetworkInfo, campaign: number, digest: string): Promise<Uint8Array> {
  if (!network.gateway_url) throw new Refusal("No store is known", "The operator of this page names none.");
  const store = connectStore(network.gateway_url);
  const manifest = decodeManifest(await store.getBlock(cidOfDigest(digest as Hex)), "openmined/delivery@1");
  const here = manifest.chain.chain_id === network.chain_id && manifest.chain.sonar.toLowerCase() === network.contract.toLowerCase();
  if (!here || manifest.campaign !== campaign) {
    throw new Refusal(
      "This is another campaign's delivery",
      `It says campaign ${manifest.campaign} on chain ${manifest.chain.chain_id}. Do not use it; tell Capsule.`,
    );
  }
  return store.getFile(manifest.message.cid, manifest.message.size);
}
