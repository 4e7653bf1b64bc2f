/** What a data scientist has entered so far. Kept in this browser until it is launched. */

import type { CampaignManifest } from "@openmined/shared/protocol";
import type { Column } from "./columns";
import type { Method } from "./task";

export interface Prepared {
  /** Canonical JSON, uploaded. */
  readonly manifest: string;
  readonly nonce: string;
  readonly deadline: number;
}

/** What the card of an earlier model says; the model itself is kept as a file. */
export interface Earlier {
  readonly campaign: number;
  readonly input: CampaignManifest["input"];
  readonly output: CampaignManifest["output"];
  readonly features: CampaignManifest["features"];
  readonly algorithm: CampaignManifest["algorithm"];
  readonly metric: CampaignManifest["metric"];
  readonly accuracyPpm: number;
  /** The sha2-256 digest of the rows it was measured on. */
  readonly validation: string;
}

export interface Draft {
  readonly title: string;
  readonly description: string;
  readonly fileName: string;
  readonly published: string;
  readonly columns: readonly Column[];
  readonly method: Method;
  readonly target: string;
  readonly claimed: string;
  readonly token: string;
  readonly bounty: string;
  readonly days: string;
  readonly fee: string;
  readonly bond: string;
  readonly step: string;
  readonly graceDays: string;
  readonly maxGradients: string;
  readonly epsilon: string;
  readonly certificate: string;
  /** Where learning starts: empty for nothing, `file`, or an earlier campaign's number. */
  readonly source: string;
  /** Of the model that was opened. */
  readonly earlier?: Earlier | undefined;
  readonly prepared?: Prepared | undefined;
  /** Sealing and uploading was begun, and has not ended. */
  readonly sealing?: boolean | undefined;
  /** Of the transaction that lets the contract take tokens, until it is in a block. */
  readonly allowance?: string | undefined;
  readonly hash?: string | undefined;
}

export const EMPTY: Draft = {
  title: "",
  description: "",
  fileName: "",
  published: "",
  columns: [],
  method: "auto",
  target: "",
  claimed: "",
  source: "",
  token: "",
  bounty: "",
  days: "7",
  fee: "",
  bond: "",
  step: "",
  graceDays: "1",
  maxGradients: "1000",
  epsilon: "",
  certificate: "",
};

const KEY = "openmined.draft";

export function loadDraft(): Draft {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { ...EMPTY, ...(kept as Partial<Draft>) };
  } catch {
    return EMPTY;
  }
}

/** Keeps a draft; answers whether there was room for it. */
export function saveDraft(draft: Draft): boolean {
  try {
    localStorage.setItem(KEY, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

export async function discardDraft(): Promise<void> {
  localStorage.removeItem(KEY);
  await Promise.all([keepFile("validation", undefined), keepFile("weights", undefined)]);
}

type Slot = "validation" | "weights";

/** Keeps a chosen file in this browser, so that a reload does not lose it; nothing is uploaded. */
export async function keepFile(slot: Slot, file: Blob | undefined): Promise<void> {
  const store = await fileStore("readwrite");
  if (file) await finished(store.put(file, slot));
  else await finished(store.delete(slot));
}

export async function keptFile(slot: Slot): Promise<Blob | undefined> {
  const found: unknown = await finished((await fileStore("readonly")).get(slot));
  return found instanceof Blob ? found : undefined;
}

async function fileStore(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const opening = indexedDB.open("openmined", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("files");
  return (await finished(opening)).transaction("files", mode).objectStore("files");
}

function finished<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("this browser keeps no files"));
  });
}
