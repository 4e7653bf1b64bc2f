/** What is learned, and how: from the columns and a choice to the manifest's words. As PySonar does it. */

import type { Algorithm, CampaignManifest, FeatureStep } from "@openmined/shared/protocol";
import { digestOf } from "@openmined/shared/store";
import { Refusal } from "@openmined/shared/ui";
import { type Column, checkValues, schemaFields, threeDigits } from "./columns";
import { type Csv, writeCsv } from "./csv";
import type { Earlier } from "./draft";

export const METHODS = [
  { value: "auto", label: "Automatic" },
  { value: "linear", label: "Linear" },
  { value: "fourier", label: "Kernel: random Fourier features" },
  { value: "relu", label: "Two-layer network, hidden layer public" },
  { value: "mlp", label: "Two-layer network, both layers encrypted" },
] as const;
export type Method = (typeof METHODS)[number]["value"];

const TEXT_FEATURES = 1023;
const RANDOM_FEATURES = 511;
const NUMERIC: readonly string[] = ["number", "integer", "boolean", "array"];
const LARGEST_STEP_PPM = 10_000;

/** How far Capsule's own measurement may lie from the start: on rows that are known, on others, of random weights. */
const SURE_PPM = 5_000;
const OTHER_ROWS_PPM = 100_000;
const RANDOM_START_PPM = 200_000;

export interface Task {
  readonly input: CampaignManifest["input"];
  readonly output: CampaignManifest["output"];
  readonly features: FeatureStep[];
  readonly algorithm: Algorithm;
  readonly update: CampaignManifest["update"];
  readonly metric: CampaignManifest["metric"];
  /** Accuracy of the initial weights on these rows, and how sure that is. */
  readonly startPpm: number;
  readonly tolerancePpm: number;
  /** The Ladder step, below which a gain pays nothing. */
  readonly stepPpm: number;
  readonly validation: Uint8Array;
  readonly rows: number;
}

/** Checks every value and settles features, algorithm and start; fails naming row and column. */
export function makeTask(csv: Csv, columns: readonly Column[], method: Method, publishedId: string): Task {
  checkValues(csv, columns);
  const at = new Map(csv.header.map((name, index) => [name, index]));
  const values = (name: string) => csv.rows.map((row) => (row[at.get(name) ?? 0] ?? "").trim());
  const inputs = columns.filter((column) => column.role === "input");
  const outputs = columns.filter((column) => column.role === "output");
  if (inputs.length === 0 || outputs.length === 0) throw new Refusal("No input or no output", "Choose at least one column of each.");
  const classes = outputs.length === 1 ? outputs[0]?.classes : undefined;
  if (classes && classes.length < 2)
    throw new Refusal(`All rows have the same ${outputs[0]?.name}`, "There is nothing to learn: choose another output.");
  const sources = sourceSteps(inputs, values);
  const chosen = method === "auto" ? automatic(sources) : method;
  const names = [...inputs, ...outputs].map((column) => column.name);
  const order = names.map((name) => at.get(name) ?? 0);
  const network = chosen === "mlp";
  return {
    input: { ...(publishedId ? { id: publishedId } : {}), fields: schemaFields(columns, "input", values) },
    output: { fields: schemaFields(columns, "output", values) },
    features: [...sources, ...widerSteps(chosen, sources)],
    algorithm: algorithmOf(network, classes !== undefined),
    update: updateOf(network),
    metric: classes ? "accuracy" : "r2",
    startPpm: startOf(network, classes, values(outputs[0]?.name ?? "")),
    tolerancePpm: network ? RANDOM_START_PPM : SURE_PPM,
    stepPpm: stepOf(csv.rows.length),
    validation: writeCsv(
      names,
      csv.rows.map((row) => order.map((index) => (row[index] ?? "").trim())),
    ),
    rows: csv.rows.length,
  };
}

/** The task of an earlier campaign on one's own rows: weights fit only the features they were trained with. */
export function continueTask(csv: Csv, earlier: Earlier): Task {
  const fields = [...earlier.input.fields, ...earlier.output.fields];
  const missing = fields.find(({ name }) => !csv.header.includes(name));
  if (missing) {
    throw new Refusal(
      `Column ${missing.name} is missing`,
      `Campaign ${earlier.campaign}, from which you start, has it: add it, or start from nothing.`,
    );
  }
  const columns = csv.header.map((name) => columnOf(name, earlier));
  checkValues(csv, columns);
  const order = fields.map(({ name }) => csv.header.indexOf(name));
  const rows = csv.rows.map((row) => order.map((index) => (row[index] ?? "").trim()));
  const validation = writeCsv(
    fields.map(({ name }) => name),
    rows,
  );
  const measured = hex(digestOf(validation)) === earlier.validation;
  return {
    ...earlier,
    update: updateOf(earlier.algorithm.kind === "mlp-classifier"),
    startPpm: earlier.accuracyPpm,
    tolerancePpm: measured ? SURE_PPM : OTHER_ROWS_PPM,
    stepPpm: stepOf(csv.rows.length),
    validation,
    rows: csv.rows.length,
  };
}

function columnOf(name: string, { input, output }: Earlier): Column {
  const [taken, wanted] = [input, output].map(({ fields }) => fields.find((field) => field.name === name));
  const field = taken ?? wanted;
  if (!field) return { name, role: "unused", type: "string" };
  return { name, role: taken ? "input" : "output", type: field.type, classes: field.constraints?.enum?.map(String), published: field };
}

function updateOf(network: boolean): Task["update"] {
  return network ? { kind: "gradient" } : { kind: "local-steps", steps: 100, rate: 1 };
}

/** About the noise of an accuracy measured on so many rows. */
function stepOf(rows: number): number {
  return Math.min(LARGEST_STEP_PPM, Math.floor(1_000_000 / Math.floor(Math.sqrt(rows))));
}

function sourceSteps(inputs: readonly Column[], values: (name: string) => readonly string[]): FeatureStep[] {
  const numeric = inputs.filter((column) => NUMERIC.includes(column.type));
  const texts = inputs.filter((column) => column.type === "string");
  const useless = inputs.find((column) => !numeric.includes(column) && !texts.includes(column));
  if (useless)
    throw new Refusal(`Column ${useless.name} is a ${useless.type}`, "Models learn from numbers and text: leave this column out.");
  const steps: FeatureStep[] = [];
  if (numeric.length > 0) steps.push(standardise(numeric, values));
  for (const { name } of texts) {
    steps.push({ kind: "hashed-text", column: name, features: TEXT_FEATURES, analyzer: "word", ngram_min: 1, ngram_max: 2 });
  }
  return steps;
}

/** Centre and scale become public: three digits do, and say little of single rows. */
function standardise(columns: readonly Column[], values: (name: string) => readonly string[]): FeatureStep {
  const [centre, scale]: [number[], number[]] = [[], []];
  for (const column of columns) {
    const vectors = values(column.name).map((value) => numbersOf(value, column.type));
    const width = vectors[0]?.length ?? 1;
    const { mean, spread } = momentsOf(vectors.flat());
    centre.push(...new Array<number>(width).fill(threeDigits(mean)));
    scale.push(...new Array<number>(width).fill(threeDigits(spread) || 1));
  }
  return { kind: "columns", columns: columns.map((column) => column.name), centre, scale };
}

function numbersOf(value: string, type: string): number[] {
  if (type === "array") return JSON.parse(value) as number[];
  if (type === "boolean") return [value.toLowerCase() === "true" || value === "1" ? 1 : 0];
  return [Number(value)];
}

function momentsOf(numbers: readonly number[]): { mean: number; spread: number } {
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const variance = numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0) / numbers.length;
  return { mean, spread: Math.sqrt(variance) || 1 };
}

/** Text is linear in its n-grams well enough; numbers gain from a kernel. */
function automatic(sources: readonly FeatureStep[]): Method {
  return sources.some((step) => step.kind === "hashed-text") ? "linear" : "fourier";
}

function widerSteps(method: Method, sources: readonly FeatureStep[]): FeatureStep[] {
  if (method === "linear" || method === "mlp") return [];
  const [first] = sources;
  if (sources.length !== 1 || first?.kind !== "columns") {
    throw new Refusal("Random features are for numbers", "Some input columns are text: choose automatic or linear.");
  }
  const seed = hex(crypto.getRandomValues(new Uint8Array(8)));
  const width = first.scale?.length ?? 1;
  if (method === "fourier") return [{ kind: "random-fourier", features: RANDOM_FEATURES, gamma: threeDigits(0.3 / width), seed }];
  return [{ kind: "random-relu", features: RANDOM_FEATURES, seed }];
}

function algorithmOf(network: boolean, classifier: boolean): Algorithm {
  if (network && !classifier) throw new Refusal("This network sorts into classes", "The output is a number: choose another method.");
  if (network)
    return { kind: "mlp-classifier", hidden: 64, learning_rate: 0.02, batch: 128, seed: hex(crypto.getRandomValues(new Uint8Array(8))) };
  return classifier ? { kind: "linear-classifier", l2: 1e-4 } : { kind: "linear-regression", l2: 1e-3 };
}

/** Weights of zero say the first class of everything; a constant has an R2 of at most 0. */
function startOf(network: boolean, classes: readonly string[] | undefined, labels: readonly string[]): number {
  if (!classes) return 0;
  if (network) return Math.round(1_000_000 / classes.length);
  return Math.round((labels.filter((label) => label === classes[0]).length * 1_000_000) / labels.length);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
