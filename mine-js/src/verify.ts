/** What a mine checks of a campaign and its Capsule before it trains. Pure, and mistrustful. */
import type { CampaignView } from "./campaigns.ts";
import { modelShape } from "./dimensions.ts";
import { BadDownload, Misbound, TermsRefused, WeakParameters } from "./errors.ts";
import type {
  BlobRef,
  CampaignManifest,
  CKKSParameters,
  KeysManifest,
  ModelManifest,
  Packing,
  SonarRef,
} from "./manifests.ts";
import { ppmToPercent } from "./text.ts";

/**
 * The least noise that hides a mine's rows in its gradient, in bits over the error it hides: thirty
 * bits of statistical security by total variation for the linear family, and as sigma for networks.
 */
const LEAST_FLOOD_BITS = 30;
const LEAST_NETWORK_FLOOD_BITS = 15;
const HEADROOM = 4096;

/** See that manifest and frozen terms are of one campaign. */
export function checkTerms(manifest: CampaignManifest, view: CampaignView): void {
  for (const [name, found, wanted] of [
    ["target", manifest.target_ppm, view.target_ppm],
    ["start", manifest.start_ppm, view.start_ppm],
  ] as const) {
    if (found !== wanted) {
      throw new TermsRefused(
        `its manifest names a ${name} of ${ppmToPercent(found)}, ` +
          `its terms on chain ${ppmToPercent(wanted)}`,
      );
    }
  }
}

/** Refuse what this mine cannot give. */
export function refuseUnsupported(manifest: CampaignManifest): void {
  if (manifest.algorithm.kind !== "mlp-classifier") return;
  if (manifest.privacy?.level === "record") {
    throw new TermsRefused(
      "it asks for differential privacy of rows from a network that is trained by " +
        "backpropagation, where this mine can give none",
    );
  }
  if (manifest.update.kind !== "gradient") {
    throw new TermsRefused("a network is trained by plain gradients: its manifest says otherwise");
  }
}

/** See that a keys manifest is bound to the campaign and protects the mine. */
export function checkKeys(
  manifest: KeysManifest,
  view: CampaignView,
  chain: SonarRef,
  campaign: CampaignManifest,
): void {
  checkChain(manifest.chain, chain, "keys");
  same("keys", "campaign", manifest.campaign, view.campaign);
  same("keys", "key epoch", manifest.epoch, view.epoch);
  const network = campaign.algorithm.kind === "mlp-classifier";
  const least = network ? LEAST_NETWORK_FLOOD_BITS : LEAST_FLOOD_BITS;
  if (manifest.parameters.flood_bits < least) {
    throw new WeakParameters(
      `its keys ask for ${manifest.parameters.flood_bits} bits of protecting noise, ` +
        `${least} are the least: Capsule could read rows out of a gradient`,
    );
  }
}

/** See that a model manifest is bound to campaign, version and keys, and of the right shape. */
export function checkModel(
  manifest: ModelManifest,
  view: CampaignView,
  chain: SonarRef,
  campaign: CampaignManifest,
  parameters: CKKSParameters,
): void {
  checkChain(manifest.chain, chain, "model");
  same("model", "campaign", manifest.campaign, view.campaign);
  same("model", "version", manifest.version, view.version);
  same("model", "key epoch", manifest.epoch, view.epoch);
  if (manifest.keys !== view.keys) {
    throw new Misbound(
      `its model was encrypted under keys ${manifest.keys.slice(0, 16)}..., ` +
        `the chain names ${view.keys.slice(0, 16)}...`,
    );
  }
  const found = shape(manifest.packing);
  const wanted = modelShape(campaign);
  if (found.join() !== wanted.join()) {
    throw new BadDownload(
      `its model is packed for (${found.join(", ")}) weights, the campaign has (${wanted.join(", ")})`,
    );
  }
  const most = 2 * 8 * parameters.coeff_modulus_bits.length * parameters.poly_modulus_degree + HEADROOM;
  const large = manifest.ciphertexts.find((ref) => ref.size > most);
  if (large !== undefined) {
    throw new BadDownload(`a ciphertext of ${large.size} bytes is above the ${most} of these parameters`);
  }
}

/** See that a download is within the owner's limit before a byte of it is fetched. */
export function checkDownload(refs: readonly BlobRef[], mostBytes: number): void {
  const total = refs.reduce((sum, ref) => sum + ref.size, 0);
  if (total > mostBytes) {
    throw new BadDownload(
      `its keys and model are ${total} bytes, ${mostBytes} are allowed: ` +
        "raise limits.download_mb in mine.toml to take part",
    );
  }
}

function checkChain(found: SonarRef, wanted: SonarRef, what: string): void {
  same(what, "chain", found.chain_id, wanted.chain_id);
  same(what, "contract", found.sonar.toLowerCase(), wanted.sonar.toLowerCase());
}

function same(what: string, name: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) {
    throw new Misbound(`its ${what} manifest is bound to ${name} ${found}, not to ${wanted}`);
  }
}

function shape(packing: Packing): number[] {
  if (packing.kind === "interleaved") return [packing.rows, packing.columns];
  return [packing.inputs, packing.hidden, packing.outputs];
}
