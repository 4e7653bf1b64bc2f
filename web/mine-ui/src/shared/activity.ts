/** The mine's log in words: what it is doing now, and what it did. Pure. */

import { formatCount, formatPpm } from "@openmined/shared/format";
import type { Line } from "./live";
import { ETHER, money } from "./money";
import { readable, VERDICTS } from "./words";

export interface Doing {
  readonly text: string;
  readonly campaign?: number | undefined;
  /** Of a part of the work that tells how far it is: 0 to 1. */
  readonly part?: number | undefined;
  readonly busy: boolean;
}

const WORK: Readonly<Record<string, string>> = {
  intended: "Downloading the encrypted model of",
  downloaded: "Training on your data for",
  training: "Training on your data for",
  trained: "Sealing the gradient to Capsule for",
  sealed: "Uploading the gradient for",
  uploaded: "Submitting the gradient for",
  submitting: "Submitting the gradient for",
};
const PARTS: Readonly<Record<string, string>> = {
  rows: "reading rows",
  statistics: "adding up rows",
  update: "computing on the encrypted model",
};
const REST = new Set(["submitted", "outcome", "failed", "started", "stopped"]);

/** What the mine is doing, by the last lines of its log. */
export function currentWork(lines: readonly Line[]): Doing {
  const last = lines.findLast((line) => Object.hasOwn(WORK, line.step) || REST.has(line.step));
  if (!last || last.step === "started") return { text: "Waiting for campaigns that want your data.", busy: false };
  if (last.step === "stopped") return { text: "The mine has stopped.", busy: false };
  if (last.step === "submitted")
    return {
      text: `Gradient ${number(last.gradient)} of campaign ${number(last.campaign)} is with Capsule, which scores it next.`,
      campaign: whole(last.campaign),
      busy: false,
    };
  if (!Object.hasOwn(WORK, last.step))
    return { text: "Waiting for campaigns that want your data, or for the next version of a model.", busy: false };
  const [done, of] = [whole(last.done), whole(last.of)];
  const part = last.step === "training" && done !== undefined && of ? Math.min(1, done / of) : undefined;
  const detail = part === undefined ? "" : `: ${partOf(last.part)}, ${formatCount(done ?? 0)} of ${formatCount(of ?? 0)}`;
  return {
    text: `${WORK[last.step]} campaign ${number(last.campaign)}, version ${number(last.version)}${detail}`,
    campaign: whole(last.campaign),
    part,
    busy: true,
  };
}

function partOf(part: unknown): string {
  return (typeof part === "string" && Object.hasOwn(PARTS, part) && PARTS[part]) || "working";
}

/** One line as a sentence, or nothing if it is none for people. */
export function sentenceOf(line: Line): string | undefined {
  const campaign = `campaign ${number(line.campaign)}`;
  const versioned = `version ${number(line.version)} of ${campaign}`;
  switch (line.step) {
    case "started":
      return "The mine was started.";
    case "stopped":
      return "The mine was stopped.";
    case "seen":
      return `Saw ${versioned}, at ${formatPpm(whole(line.best_ppm) ?? 0)} accuracy.`;
    case "decided":
      return decided(line, campaign);
    case "trained":
      return `Trained ${versioned} on ${formatCount(whole(line.samples) ?? 0)} rows.`;
    case "submitted":
      return `Submitted gradient ${number(line.gradient)} to ${campaign}.`;
    case "outcome":
      return outcome(line, campaign);
    case "failed":
      return `No gradient for ${versioned}: ${text(line.problem)}`;
    case "imported":
      return imported(line);
    case "withdrawn":
      return `Withdrew ${money(digits(line.amount_wei), String(line.token ?? ETHER))}.`;
    case "reported":
      return "Told the statistics service how many rows of each published schema are here.";
    case "reorganised":
      return "The chain took back some blocks; the mine followed.";
    case "problem":
      return `Problem: ${text(line.text)}`;
    default:
      return undefined;
  }
}

/** The last lines that are for people, the newest first. */
export function recent(lines: readonly Line[], most: number): { at: string; text: string }[] {
  const found: { at: string; text: string }[] = [];
  for (const line of lines.toReversed()) {
    const said = sentenceOf(line);
    if (said) found.push({ at: String(line.at), text: said });
    if (found.length === most) break;
  }
  return found;
}

function decided(line: Line, campaign: string): string {
  const verdict = String(line.verdict);
  const words = Object.hasOwn(VERDICTS, verdict) ? VERDICTS[verdict as keyof typeof VERDICTS].label.toLowerCase() : "decided";
  const dataset = line.dataset === "*" ? "" : ` with ${text(line.dataset)}`;
  return `${campaign[0]?.toUpperCase()}${campaign.slice(1)}${dataset}: ${words}, because ${text(line.reason)}.`;
}

function outcome(line: Line, campaign: string): string {
  const gradient = `Gradient ${number(line.gradient)} of ${campaign}`;
  if (line.outcome === "rejected") return `${gradient} was rejected: ${text(line.reason)}.`;
  if (line.outcome === "reclaimed") return `${gradient} was never scored; its bond came back.`;
  if (!line.share_ppm) return `${gradient} was scored and brought no gain.`;
  return `${gradient} was scored: share ${formatPpm(whole(line.share_ppm) ?? 0)} of its batch.`;
}

function imported(line: Line): string {
  if (line.state !== "done") return `The import into ${text(line.dataset)} failed.`;
  return `Imported ${formatCount(whole(line.rows_added) ?? 0)} rows into ${text(line.dataset)}.`;
}

function whole(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? Math.trunc(value) : undefined;
}

function number(value: unknown): string {
  return String(whole(value) ?? "?");
}

function digits(value: unknown): string {
  return typeof value === "string" && /^\d{1,80}$/.test(value) ? value : "0";
}

function text(value: unknown): string {
  return readable(String(value ?? "no reason was given")).replace(/\.$/, "");
}
