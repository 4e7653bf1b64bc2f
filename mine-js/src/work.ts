/** The work on one gradient, from claim to chain: each step is in the ledger before its effect. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CampaignView } from "./campaigns.ts";
import { withEnvelope } from "./campaigns.ts";
import { hexDigest } from "./canonical.ts";
import type { SonarContract } from "./chain/contract.ts";
import type { Dataset } from "./datasets.ts";
import type { Door } from "./door.ts";
import { sealGradient } from "./envelope.ts";
import { BadDownload, BlobTooLarge, MalformedBlock, SizeMismatch, TrainingFailed } from "./errors.ts";
import { raiseIfFull, writePrivate } from "./files.ts";
import type { MineFolder, Secrets } from "./folder.ts";
import type { Facts, Ledger, Step, Submission } from "./ledger.ts";
import {
  type BlobRef,
  type CampaignManifest,
  decodeManifest,
  encodeManifest,
  type KeysManifest,
  type ModelManifest,
} from "./manifests.ts";
import type { ProgressLog } from "./progress.ts";
import type { MineSettings } from "./settings.ts";
import type { Store } from "./store/store.ts";
import { cidOfFile } from "./store/unixfs.ts";
import { checkDownload, checkKeys, checkModel } from "./verify.ts";

const ENVELOPE_PURPOSE = "gradient-envelope";
const IN_OUTBOX: readonly Step[] = ["trained", "sealed", "uploaded", "submitting"];

/** One gradient to be made: of which campaign and version, from which datasets. */
export interface Job {
  view: CampaignView;
  manifest: CampaignManifest;
  datasets: Dataset[];
  cpuShare: number;
  /** (epsilon, delta) to charge to each dataset before anything leaves. */
  epsilon: readonly [number, number] | null;
}

/** A keys manifest, and its blobs in files: those of a network are tens of megabytes. */
interface DownloadedKeys {
  digest: string;
  bytes: Uint8Array;
  files: Record<string, string>;
}

interface Download {
  keysBytes: Uint8Array;
  keys: KeysManifest;
  modelBytes: Uint8Array;
  keyFiles: Record<string, string>;
  ciphertexts: Uint8Array[];
}

interface Trained {
  samples: number;
  ciphertexts: Uint8Array[];
}

/** What every part of a running mine works with. */
export interface World {
  readonly folder: MineFolder;
  readonly secrets: Secrets;
  readonly ledger: Ledger;
  readonly contract: SonarContract;
  readonly store: Store;
  readonly door: Door;
  readonly log: ProgressLog;
  settings: MineSettings;
  readonly atStep: (step: string) => void;
}

export class Worker {
  readonly #world: World;
  readonly #refresh: () => Promise<Map<number, CampaignView>>;
  #keys: DownloadedKeys | undefined;

  constructor(world: World, refresh: () => Promise<Map<number, CampaignView>>) {
    this.#world = world;
    this.#refresh = refresh;
  }

  /** Claim the campaign's version and work until the chain knows the gradient. */
  async begin(job: Job): Promise<Submission> {
    const { campaign, version, epoch } = job.view;
    const names = job.datasets.map((dataset) => dataset.name);
    const submission = this.#world.ledger.claim(campaign, version, epoch, names);
    this.#reached(submission);
    return this.#make(job, submission);
  }

  /** Do the work of a claim anew: nothing of it had left the mine. */
  async makeAgain(job: Job, submission: Submission): Promise<Submission> {
    const datasets = job.datasets.map((dataset) => dataset.name);
    return this.#make(job, this.#advance(submission, "intended", { datasets }));
  }

  async #make(job: Job, claimed: Submission): Promise<Submission> {
    const download = await this.#download(job);
    let submission = this.#advance(claimed, "downloaded");
    if (job.epsilon !== null) {
      // Charged before the release is made: a kill in between costs nothing but the charge.
      for (const dataset of job.datasets) {
        this.#world.ledger.chargePrivacy(dataset.name, job.view.campaign, ...job.epsilon);
      }
    }
    const trained = await this.#train(job, download);
    submission = this.#advance(submission, "trained", { samples: trained.samples });
    submission = await this.#seal(job, download.keys, trained, submission);
    return this.bring(job.view, submission);
  }

  /** Bring a sealed gradient to the chain, from the step that the ledger shows. */
  async bring(view: CampaignView, submission: Submission): Promise<Submission> {
    let now = submission;
    if (now.step === "sealed") now = await this.#upload(now);
    if (now.step === "uploaded") return this.#send(view, this.#advance(now, "submitting"));
    return now.step === "submitting" ? this.#recover(view, now) : now;
  }

  /** Delete envelopes that are on chain, or never will be. */
  tidy(): void {
    const open = this.#world.ledger.submissions().filter((s) => IN_OUTBOX.includes(s.step));
    const kept = new Set(open.map((s) => this.#outbox(s)));
    for (const name of readdirSync(this.#world.folder.outbox)) {
      const path = join(this.#world.folder.outbox, name);
      if (name.endsWith(".pgp") && !kept.has(path)) rmSync(path, { force: true });
    }
  }

  outboxHas(submission: Submission): boolean {
    return existsSync(this.#outbox(submission));
  }

  /** Write down that the chain knows a gradient; its envelope need not be kept any longer. */
  submitted(submission: Submission, gradient: number, tx: string): Submission {
    const done = this.#advance(submission, "submitted", { gradient, tx });
    rmSync(this.#outbox(submission), { force: true });
    return done;
  }

  /** Give up a gradient of a campaign that has ended, unless it may still be mined. */
  async abandon(view: CampaignView, submission: Submission): Promise<void> {
    if (submission.step === "submitting") {
      if ((await this.#world.contract.underWay()) > 0) return;
      const fresh = (await this.#refresh()).get(view.campaign) ?? view;
      if (withEnvelope(fresh, submission.envelope ?? "") !== undefined) return;
    }
    this.fail(submission, "the campaign ended first");
  }

  /** Write down that a gradient will not be submitted, and why. */
  fail(submission: Submission, problem: string): Submission {
    rmSync(this.#outbox(submission), { force: true });
    return this.#advance(submission, "failed", { problem: problem.slice(0, 400) });
  }

  async #download(job: Job): Promise<Download> {
    const { store, settings, contract } = this.#world;
    const { view } = job;
    const chain = { chain_id: contract.chainId, sonar: contract.address };
    const known = this.#keys !== undefined && serves(this.#keys, view.keys) ? this.#keys : undefined;
    const keysBytes = known?.bytes ?? (await store.getManifestBytes(view.keys));
    const keys = decodeManifest(keysBytes, "keys");
    checkKeys(keys, view, chain, job.manifest);
    const modelBytes = await store.getManifestBytes(view.model);
    const model: ModelManifest = decodeManifest(modelBytes, "model");
    checkModel(model, view, chain, job.manifest, keys.parameters);
    const most = settings.limits.download_mb * 2 ** 20;
    checkDownload([...keys.blobs, ...model.ciphertexts], most);
    const keyFiles = known?.files ?? (await this.#saveKeys(keys, most));
    this.#keys = { digest: view.keys, bytes: keysBytes, files: keyFiles };
    const ciphertexts: Uint8Array[] = [];
    for (const ref of model.ciphertexts) {
      ciphertexts.push(await blaming(ref, () => store.getRef(ref, most)));
    }
    return { keysBytes, keys, modelBytes, keyFiles, ciphertexts };
  }

  /** Fetch the keys of one campaign into files, in place of those of another. */
  async #saveKeys(keys: KeysManifest, most: number): Promise<Record<string, string>> {
    const { store, folder } = this.#world;
    const place = join(folder.cache, "keys");
    this.#keys = undefined;
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place, { recursive: true, mode: 0o700 });
    const files: Record<string, string> = {};
    try {
      for (const ref of keys.blobs) {
        const path = join(place, ref.purpose);
        await blaming(ref, () => store.saveRef(ref, path, most));
        files[ref.purpose] = path;
      }
    } catch (error) {
      raiseIfFull(error, folder.cache);
      throw error;
    }
    return files;
  }

  async #train(job: Job, download: Download): Promise<Trained> {
    const { folder, secrets, settings, log, door } = this.#world;
    const { campaign, version, spec } = job.view;
    const request = {
      action: "train",
      folder: folder.path,
      identity: secrets.identity,
      campaign: encodeManifest(job.manifest),
      spec,
      datasets: job.datasets.map((dataset) => dataset.name),
      keys: download.keysBytes,
      model: download.modelBytes,
      key_files: download.keyFiles,
      ciphertexts: download.ciphertexts,
      cpu_share: job.cpuShare,
      executor: settings.training.executor,
      memory_mb: settings.limits.memory_mb,
      seconds: settings.limits.seconds,
    };
    const answer = await door.ask(request, (part, done, of) =>
      log.say("training", { campaign, version, part, done, of }),
    );
    return answer as unknown as Trained;
  }

  async #seal(job: Job, keys: KeysManifest, trained: Trained, submission: Submission): Promise<Submission> {
    const { contract, secrets } = this.#world;
    const { campaign, version, epoch, bond } = job.view;
    const network = job.manifest.algorithm.kind === "mlp-classifier";
    const body = {
      format: "openmined/gradient-body@1",
      chain: { chain_id: contract.chainId, sonar: contract.address },
      campaign,
      version,
      epoch,
      miner: secrets.wallet.address,
      kind: network ? "mlp-gradient" : job.manifest.update.kind,
      samples: trained.samples,
      ciphertexts: trained.ciphertexts,
    } as const;
    const envelope = await sealGradient(body, keys.certificate);
    writePrivate(this.#outbox(submission), envelope);
    const digest = hexDigest(encodeManifest(gradientManifest(envelope)));
    return this.#advance(submission, "sealed", { envelope: digest, left_mine: true, bond });
  }

  async #upload(submission: Submission): Promise<Submission> {
    const { store } = this.#world;
    const envelope = readFileSync(this.#outbox(submission));
    const ref = await store.putRef(envelope, ENVELOPE_PURPOSE);
    const digest = await store.putManifest({ format: "openmined/gradient@1", envelope: ref });
    if (digest !== submission.envelope) {
      throw new TrainingFailed("the sealed gradient in the outbox was changed: it is not sent");
    }
    return this.#advance(submission, "uploaded");
  }

  async #send(view: CampaignView, submission: Submission): Promise<Submission> {
    const sent = await this.#world.contract.submitGradient(
      view.campaign,
      submission.version,
      submission.envelope ?? "",
      view.token,
      view.bond,
    );
    return this.submitted(submission, sent.gradient, sent.transaction);
  }

  async #recover(view: CampaignView, submission: Submission): Promise<Submission> {
    // The ledger said "submitting" and the chain shows no such gradient. A transaction that is
    // still under way may be it: wait. With none under way, the next takes the very nonce that
    // a lost one had, and so only one of them can ever be mined.
    if ((await this.#world.contract.underWay()) > 0) return submission;
    // It may have been mined since the chain was read last: read again, after the count.
    const fresh = (await this.#refresh()).get(view.campaign) ?? view;
    const found = withEnvelope(fresh, submission.envelope ?? "");
    if (found !== undefined) return this.submitted(submission, found.gradient, found.tx);
    return this.#send(view, submission);
  }

  #advance(submission: Submission, step: Step, facts: Facts = {}): Submission {
    const { campaign, version } = submission;
    const done = this.#world.ledger.advance(campaign, version, step, facts);
    this.#reached(done);
    return done;
  }

  #reached(submission: Submission): void {
    const { campaign, version, step } = submission;
    const said: Record<string, unknown> = { campaign, version };
    for (const name of ["gradient", "tx", "samples", "problem"] as const) {
      if (submission[name] !== null) said[name] = submission[name];
    }
    this.#world.log.say(step, said);
    this.#world.atStep(step);
  }

  #outbox(submission: Submission): string {
    const name = `${submission.campaign}-${submission.version}.pgp`;
    return join(this.#world.folder.outbox, name);
  }
}

function serves(keys: DownloadedKeys, digest: string): boolean {
  return keys.digest === digest && Object.values(keys.files).every((path) => existsSync(path));
}

/** Say of a blob that is not what a manifest says that the campaign is at fault. */
async function blaming<T>(ref: BlobRef, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (error) {
    if (error instanceof SizeMismatch || error instanceof BlobTooLarge || error instanceof MalformedBlock) {
      throw new BadDownload(`its ${ref.purpose}: ${error.message}`);
    }
    throw error;
  }
}

function gradientManifest(envelope: Uint8Array): object {
  const ref = { cid: cidOfFile(envelope), size: envelope.length, purpose: ENVELOPE_PURPOSE };
  return { format: "openmined/gradient@1", envelope: ref };
}
