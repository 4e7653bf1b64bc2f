/** A model of an earlier campaign, to start from. Its card says what it was trained on, and how. */

import { decodeManifest } from "@openmined/shared/protocol";
import { cidOfDigest, connectStore } from "@openmined/shared/store";
import { Refusal } from "@openmined/shared/ui";
import type { Hex } from "viem";
import type { CampaignDetail, NetworkInfo } from "../../shared/api";
import { fetchDelivery } from "../../shared/fetchDelivery";
import type { Earlier } from "./draft";
import { openSigned } from "./pgp";

const MAX_HEADER = 1 << 20;

/** Fetches what Capsule delivered, opens it with the data scientist's key, checks Capsule's signature. All in this browser. */
export async function openDelivered(network: NetworkInfo, campaign: CampaignDetail, key: string, passphrase: string): Promise<Blob> {
  if (!campaign.delivery || !campaign.keys || !network.gateway_url) {
    throw new Refusal("Nothing was delivered", "Choose a campaign that has ended with a model.");
  }
  const keys = await connectStore(network.gateway_url).getBlock(cidOfDigest(campaign.keys as Hex));
  const { certificate } = decodeManifest(keys, "openmined/keys@1");
  const message = await fetchDelivery(network, campaign.campaign, campaign.delivery);
  return new Blob([(await openSigned(message, key, passphrase, certificate)) as Uint8Array<ArrayBuffer>]);
}

/** Reads the card of a model file: safetensors, whose header is its length (8 bytes, little-endian) and JSON. */
export async function readEarlier(network: NetworkInfo, file: Blob, expected?: number): Promise<Earlier> {
  const length = new DataView(await file.slice(0, 8).arrayBuffer().then(padded)).getBigUint64(0, true);
  if (length === 0n || length > MAX_HEADER || Number(length) > file.size - 8) throw noModel("it is no safetensors file");
  const card = cardOf(await file.slice(8, 8 + Number(length)).text());
  const here = Number(card.chain_id) === network.chain_id && card.sonar?.toLowerCase() === network.contract.toLowerCase();
  if (!here) throw noModel(`its card names ${card.sonar?.slice(0, 42) ?? "no contract"}, which is not this network`);
  if (expected !== undefined && Number(card.campaign) !== expected) throw noModel(`its card names campaign ${card.campaign?.slice(0, 20)}`);
  try {
    return {
      campaign: Number(card.campaign),
      input: JSON.parse(card.input ?? "") as Earlier["input"],
      output: JSON.parse(card.output ?? "") as Earlier["output"],
      features: JSON.parse(card.features ?? "") as Earlier["features"],
      algorithm: JSON.parse(card.algorithm ?? "") as Earlier["algorithm"],
      metric: card.metric === "r2" ? "r2" : "accuracy",
      accuracyPpm: Number(card.accuracy_ppm),
      validation: String(card.validation_sha256),
    };
  } catch {
    throw noModel("its card does not say how it was trained");
  }
}

function cardOf(header: string): Partial<Record<string, string>> {
  try {
    const { __metadata__: card } = JSON.parse(header) as { __metadata__?: Record<string, string> };
    if (card && card.format === "openmined/weights@1") return card;
  } catch {} // said below
  throw noModel("it has no card of OpenMined");
}

function noModel(why: string): Refusal {
  return new Refusal(
    "This is no model to start from",
    `${why[0]?.toUpperCase()}${why.slice(1)}. Take a file that "openmined campaign result" wrote.`,
  );
}

function padded(data: ArrayBuffer): ArrayBuffer {
  const eight = new Uint8Array(8);
  eight.set(new Uint8Array(data));
  return eight.buffer;
}
