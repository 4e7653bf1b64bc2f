/** The manifests a mine reads and writes: canonical JSON of a known format, checked as they come. */
import { encodeCanonical, withoutNulls } from "./canonical.ts";
import { ManifestError, UnknownFormat } from "./errors.ts";
import { SCHEMAS } from "./generated/schemas.ts";
import { check, type Rules, Violation } from "./schema.ts";
import { isObject, repr, sortedTexts } from "./text.ts";

export const MAX_MANIFEST_BYTES = 1 << 20;
const MAX_DEPTH = 32;

export interface BlobRef {
  cid: string;
  size: number;
  purpose: string;
}
export interface SonarRef {
  chain_id: number;
  sonar: string;
}
export interface SchemaField {
  name: string;
  type: string;
  constraints?: {
    enum?: string[] | null;
    minLength?: number | null;
    maxLength?: number | null;
  } | null;
}
export interface TableSchema {
  id?: string | null;
  fields: SchemaField[];
}
export interface FeatureStep {
  kind: string;
  columns?: string[];
  features?: number;
  filters?: number;
  pool?: number;
  patch?: number | null;
  stride?: number;
  height?: number | null;
  width?: number | null;
}
export interface PrivacyRequest {
  epsilon: number;
  delta: number;
  level: "record" | "client";
}
export interface CampaignManifest {
  format: string;
  title: string;
  input: TableSchema;
  output: TableSchema;
  features: FeatureStep[];
  algorithm: { kind: string; hidden?: number };
  update: { kind: string };
  metric: string;
  start_ppm: number;
  target_ppm: number;
  privacy?: PrivacyRequest | null;
}
export interface CKKSParameters {
  poly_modulus_degree: number;
  coeff_modulus_bits: number[];
  flood_bits: number;
}
export interface KeysManifest {
  format: string;
  chain: SonarRef;
  campaign: number;
  epoch: number;
  parameters: CKKSParameters;
  blobs: BlobRef[];
  certificate: string;
}
export interface Packing {
  kind: "interleaved" | "mlp";
  rows: number;
  columns: number;
  inputs: number;
  hidden: number;
  outputs: number;
}
export interface ModelManifest {
  format: string;
  chain: SonarRef;
  campaign: number;
  version: number;
  epoch: number;
  keys: string;
  packing: Packing;
  ciphertexts: BlobRef[];
}
export interface GradientManifest {
  format: string;
  envelope: BlobRef;
}
interface Manifests {
  campaign: CampaignManifest;
  keys: KeysManifest;
  model: ModelManifest;
  gradient: GradientManifest;
}
export type Kind = keyof Manifests;

/** Return an array field's length; 1 for every other type. */
export function arrayLength(field: SchemaField): number {
  return field.type === "array" ? (field.constraints?.minLength ?? 0) : 1;
}

function fieldRule(value: Record<string, unknown>): string | undefined {
  const field = value as unknown as SchemaField;
  if (field.type !== "array") return undefined;
  const { minLength, maxLength } = field.constraints ?? {};
  const bad = minLength === null || minLength === undefined || minLength !== maxLength || minLength < 1;
  return bad ? `array field ${repr(field.name)} needs minLength = maxLength >= 1` : undefined;
}

function tableRule(value: Record<string, unknown>): string | undefined {
  const names = (value as unknown as TableSchema).fields.map((field) => field.name);
  const twice = sortedTexts(new Set(names.filter((name, index) => names.indexOf(name) !== index)));
  return twice.length > 0 ? `fields named twice: ${twice.join(", ")}` : undefined;
}

function campaignRule(value: Record<string, unknown>): string | undefined {
  const campaign = value as unknown as CampaignManifest;
  if (campaign.target_ppm <= campaign.start_ppm) {
    return (
      `the target of ${campaign.target_ppm} ppm is not above the start of ` +
      `${campaign.start_ppm} ppm: ask for more accuracy than the model has`
    );
  }
  const classifier = campaign.algorithm.kind !== "linear-regression";
  if (classifier !== (campaign.metric === "accuracy")) {
    return `metric ${repr(campaign.metric)} does not fit ${repr(campaign.algorithm.kind)}`;
  }
  const outputs = campaign.output.fields;
  if (classifier && (outputs.length !== 1 || !outputs[0]?.constraints?.enum?.length)) {
    return "a classifier's output is one field with its classes in constraints.enum";
  }
  const inputs = new Set(campaign.input.fields.map((field) => field.name));
  const both = sortedTexts(outputs.map((field) => field.name).filter((name) => inputs.has(name)));
  return both.length > 0 ? `fields both in input and output: ${both.join(", ")}` : undefined;
}

function packingRule(value: Record<string, unknown>): string | undefined {
  const { rows, dimension, giant_step: step } = value as Record<string, number>;
  if (rows === undefined || dimension === undefined || step === undefined) return undefined;
  if (dimension < rows || (dimension & (dimension - 1)) !== 0) {
    return `dimension ${dimension} is no power of two >= ${rows} rows`;
  }
  return step > dimension || dimension % step !== 0
    ? `giant step ${step} does not divide ${dimension}`
    : undefined;
}

export const MANIFEST_RULES: Rules = {
  SchemaField: fieldRule,
  TableSchema: tableRule,
  CampaignManifest: campaignRule,
  InterleavedPacking: packingRule,
};

/** Encode a manifest canonically. */
export function encodeManifest(manifest: object): Uint8Array {
  return encodeCanonical(withoutNulls(manifest));
}

/**
 * Read a manifest of a known kind from untrusted bytes.
 *
 * Throws UnknownFormat if its `format` is another, ManifestError if it is too large, no canonical
 * JSON, or breaks the schema.
 */
export function decodeManifest<K extends Kind>(data: Uint8Array, kind: K): Manifests[K] {
  const wanted = `openmined/${kind}@1`;
  const value = parse(data, wanted);
  if (value.format !== wanted) {
    throw new UnknownFormat(
      `expected a manifest of format ${repr(wanted)}, found ${short(value.format)}: ` +
        "update openmined, or check the CID it was read from",
    );
  }
  let manifest: unknown;
  try {
    manifest = check(value, SCHEMAS[kind], MANIFEST_RULES);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    throw new ManifestError(`${wanted} manifest refused: ${error.describe("document", short)}`);
  }
  if (!Buffer.from(encodeManifest(manifest as object)).equals(data)) {
    throw new ManifestError(`${wanted} manifest is not in canonical form (RFC 8785): re-encode it`);
  }
  return manifest as Manifests[K];
}

function parse(data: Uint8Array, wanted: string): Record<string, unknown> {
  if (data.length > MAX_MANIFEST_BYTES) {
    throw new ManifestError(`${data.length} bytes are too many for a ${wanted} manifest (1 MiB)`);
  }
  if (nesting(data) > MAX_DEPTH) {
    throw new ManifestError(`a ${wanted} manifest nested deeper than ${MAX_DEPTH} is refused`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data));
  } catch (error) {
    throw new ManifestError(`these bytes are no ${wanted} manifest: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw new ManifestError(`a ${wanted} manifest is a JSON object`);
  return value;
}

function nesting(data: Uint8Array): number {
  let deepest = 0;
  let depth = 0;
  for (const byte of data) {
    if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return deepest;
}

function short(value: unknown): string {
  const text = repr(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

export function fieldNames(schema: TableSchema): string[] {
  return schema.fields.map((field) => field.name);
}

/** Say, a line per field, why a dataset of schema `offered` cannot serve the `wanted` one. */
export function missingFrom(wanted: TableSchema, offered: TableSchema): string[] {
  return wanted.fields.map((field) => mismatch(field, offered)).filter((line) => line !== "");
}

function mismatch(wanted: SchemaField, offered: TableSchema): string {
  const found = offered.fields.find((field) => field.name === wanted.name);
  const name = repr(wanted.name);
  if (found === undefined) return `no field ${name}`;
  if (found.type !== wanted.type && !(found.type === "integer" && wanted.type === "number")) {
    return `field ${name} is ${found.type}, ${wanted.type} is wanted`;
  }
  if (arrayLength(found) !== arrayLength(wanted)) {
    return `field ${name} has ${arrayLength(found)} numbers, not ${arrayLength(wanted)}`;
  }
  const known = wanted.constraints?.enum ?? [];
  const foreign = (found.constraints?.enum ?? []).filter((label) => !known.includes(label));
  return known.length > 0 && foreign.length > 0
    ? `field ${name} has classes the campaign lacks: ${sortedTexts(new Set(foreign)).join(", ")}`
    : "";
}
