/** Judging campaigns: schema, terms, permissions, privacy; every verdict is written down once. */
import { type CampaignView, minesPart } from "./campaigns.ts";
import { type Dataset, listDatasets, releaseDatasets } from "./datasets.ts";
import { CampaignUnusable, ManifestError, TermsRefused } from "./errors.ts";
import type { Ledger } from "./ledger.ts";
import { type CampaignManifest, fieldNames, missingFrom, type PrivacyRequest } from "./manifests.ts";
import {
  type CampaignRequest,
  type DatasetUse,
  type Decision,
  decide,
  decisionText,
  type Verdict,
} from "./permissions.ts";
import { permissionOf } from "./settings.ts";
import { checkTerms, refuseUnsupported } from "./verify.ts";
import type { Job, World } from "./work.ts";

/** Stands for the dataset in decisions that no single dataset caused. */
const WHOLE_CAMPAIGN = "*";

export class Judge {
  readonly #world: World;
  readonly #manifests = new Map<string, CampaignManifest>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Ask every dataset; return the work if at least one may serve the campaign now. */
  async decide(view: CampaignView): Promise<Job | null> {
    const { folder, settings, atStep } = this.#world;
    let manifest: CampaignManifest;
    try {
      manifest = await this.#manifest(view);
      checkTerms(manifest, view);
      refuseUnsupported(manifest);
    } catch (error) {
      if (!(error instanceof CampaignUnusable)) throw error;
      return this.#refuse(view, "terms", error.message);
    }
    const datasets = listDatasets(folder);
    if (datasets.length === 0) return this.#refuse(view, "no-data", "the mine has no dataset");
    let accepted = datasets.filter((item) => this.#ask(view, manifest, item).verdict === "accept");
    atStep("decided");
    const privacy = rowPrivacy(manifest);
    if (privacy !== null) accepted = this.#withinRelease(view, accepted);
    if (accepted.length === 0) return null;
    return {
      view,
      manifest,
      datasets: accepted,
      cpuShare: Math.min(...accepted.map((item) => permissionOf(settings, item.name).cpu_share)),
      epsilon: privacy === null ? null : [privacy.epsilon, privacy.delta],
    };
  }

  note(view: CampaignView, verdict: Verdict, code: string, text: string): void {
    this.#record(view, WHOLE_CAMPAIGN, { verdict, causes: [{ code, text: text.slice(0, 600) }] });
  }

  #refuse(view: CampaignView, code: string, text: string): null {
    this.note(view, "refuse", code, text);
    return null;
  }

  /** Keep to the datasets of the campaign's one noisy release, once there is one. */
  #withinRelease(view: CampaignView, accepted: Dataset[]): Dataset[] {
    const names = releaseDatasets(this.#world.folder, view.spec);
    if (names === null) {
      if (!this.#world.ledger.submissions(view.campaign).some((s) => s.left_mine)) return accepted;
      const text = "its noisy release is lost, and a second one would cost more privacy";
      this.note(view, "refuse", "release-lost", text);
      return [];
    }
    const kept = accepted.filter((dataset) => names.includes(dataset.name));
    if (kept.length >= names.length) return kept;
    const text = `it was answered from ${names.join(", ")}, and not all of them are permitted now`;
    this.note(view, "refuse", "release", text);
    return [];
  }

  #ask(view: CampaignView, manifest: CampaignManifest, dataset: Dataset): Decision {
    const { settings, ledger } = this.#world;
    const missing = [
      ...missingFrom(manifest.input, dataset.schema),
      ...missingFrom(manifest.output, dataset.schema),
    ];
    const decision: Decision =
      missing.length > 0
        ? { verdict: "refuse", causes: [{ code: "schema", text: missing.slice(0, 8).join("; ") }] }
        : decide(
            permissionOf(settings, dataset.name),
            campaignRequest(view, manifest),
            datasetUse(ledger, view.campaign, dataset.name),
            new Date(),
          );
    this.#record(view, dataset.name, decision);
    return decision;
  }

  #record(view: CampaignView, dataset: string, decision: Decision): void {
    if (!this.#world.ledger.recordDecision(view.campaign, dataset, decision)) return;
    const { campaign, version } = view;
    const { verdict } = decision;
    this.#world.log.say("decided", { campaign, version, dataset, verdict, reason: decisionText(decision) });
  }

  async #manifest(view: CampaignView): Promise<CampaignManifest> {
    const known = this.#manifests.get(view.spec);
    if (known !== undefined) return known;
    try {
      const manifest = await this.#world.store.getManifest(view.spec, "campaign");
      this.#manifests.set(view.spec, manifest);
      this.#world.ledger.noteTitle(view.campaign, manifest.title);
      return manifest;
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      throw new TermsRefused(`its manifest cannot be used: ${error.message}`);
    }
  }
}

/** Return the differential privacy that mines themselves have to add, if any. */
function rowPrivacy(manifest: CampaignManifest): PrivacyRequest | null {
  return manifest.privacy?.level === "record" ? manifest.privacy : null;
}

function campaignRequest(view: CampaignView, manifest: CampaignManifest): CampaignRequest {
  return {
    campaign: view.campaign,
    data_scientist: view.data_scientist,
    capsule: view.capsule,
    token: view.token,
    bounty_wei: minesPart(view),
    bond_wei: view.bond,
    fields: [...fieldNames(manifest.input), ...fieldNames(manifest.output)],
    privacy: manifest.privacy ?? null,
    trains_network: manifest.algorithm.kind === "mlp-classifier",
  };
}

function datasetUse(ledger: Ledger, campaign: number, dataset: string): DatasetUse {
  return {
    rounds: ledger.rounds(campaign, dataset),
    epsilon_spent: ledger.epsilonSpent(dataset),
    epsilon_paid_here: ledger.privacyPaid(dataset, campaign),
    answer: ledger.answer(campaign, dataset),
  };
}
