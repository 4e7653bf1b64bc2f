/** Seals the rows, uploads what mines and Capsule need, and writes the manifest. */

import { type BlobRef, type CampaignManifest, encodeManifest } from "@openmined/shared/protocol";
import { connectStore, digestOf, type StoreClient } from "@openmined/shared/store";
import { Refusal } from "@openmined/shared/ui";
import { bytesToHex, getAddress, type Hex } from "viem";
import type { NetworkInfo } from "../../shared/api";
import { findCertificate } from "./capsule";
import type { Prepared } from "./draft";
import { seal } from "./pgp";
import { MAX_BATCH, type Plan } from "./plan";
import type { Task } from "./task";

const DELTA = 1e-6;

export async function prepare(network: NetworkInfo, plan: Plan, task: Task, weights: Blob | undefined): Promise<Prepared> {
  if (!network.gateway_url) throw new Refusal("No store is known", "The operator of this page names none, so nothing can be uploaded.");
  const store = connectStore(network.gateway_url);
  const certificate = await findCertificate(network, store, capsuleOf(network));
  const validation = await upload(store, await seal(task.validation, certificate), "validation");
  const initial = weights && (await upload(store, await seal(new Uint8Array(await weights.arrayBuffer()), certificate), "initial-weights"));
  const data = encodeManifest<"openmined/campaign@1">(makeManifest(plan, task, validation, initial));
  await store.putBlock(data);
  return {
    manifest: new TextDecoder().decode(data),
    nonce: bytesToHex(crypto.getRandomValues(new Uint8Array(32))),
    deadline: Math.floor(Date.now() / 1000) + plan.durationS,
  };
}

/** The manifest with every default written out, as `openmined.protocol` writes it. */
export function makeManifest(plan: Plan, task: Task, validation: BlobRef, initial: BlobRef | undefined): CampaignManifest {
  return {
    format: "openmined/campaign@1",
    title: plan.title,
    description: plan.description,
    input: task.input,
    output: task.output,
    features: task.features,
    algorithm: task.algorithm,
    update: task.update,
    metric: task.metric,
    start_ppm: plan.startPpm,
    target_ppm: plan.targetPpm,
    validation,
    ...(initial ? { initial_weights: initial } : {}),
    certificate: plan.certificate,
    ...(plan.epsilon ? { privacy: { epsilon: plan.epsilon, delta: DELTA, level: "record" as const } } : {}),
    scoring: { window_s: 30, batch: 16, quota: 64, release_step_ppm: 100 },
  };
}

/** The contract's terms. */
export function termsOf(network: NetworkInfo, plan: Plan, prepared: Pick<Prepared, "manifest" | "deadline">) {
  return {
    spec: bytesToHex(digestOf(new TextEncoder().encode(prepared.manifest))) as Hex,
    capsule: getAddress(capsuleOf(network)),
    token: getAddress(plan.token),
    bounty: plan.bounty,
    fee: plan.fee,
    bond: plan.bond,
    start_ppm: BigInt(plan.startPpm),
    start_tolerance_ppm: BigInt(plan.tolerancePpm),
    target_ppm: BigInt(plan.targetPpm),
    min_improvement_ppm: BigInt(plan.stepPpm),
    deadline: BigInt(prepared.deadline),
    grace: BigInt(plan.graceS),
    max_gradients: BigInt(plan.maxGradients),
    max_batch: BigInt(MAX_BATCH),
  };
}

export function capsuleOf(network: NetworkInfo): string {
  const [capsule] = network.capsules;
  if (!capsule) throw new Refusal("No Capsule is known", "The network names none; a campaign needs one to hold its keys.");
  return capsule.address;
}

async function upload(store: StoreClient, data: Uint8Array, purpose: string): Promise<BlobRef> {
  return { cid: (await store.putFile(data)).text, size: data.length, purpose };
}
