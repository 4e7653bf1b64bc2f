/** How large a campaign's model is: what its feature steps make of a row, and its outputs. */
import { TermsRefused } from "./errors.ts";
import {
  arrayLength,
  type CampaignManifest,
  type FeatureStep,
  type SchemaField,
  type TableSchema,
} from "./manifests.ts";
import { repr } from "./text.ts";

const MAX_INPUTS = 8192;
const NUMERIC = new Set(["number", "integer", "boolean", "array"]);

/** Return (inputs, outputs), or (inputs, hidden, outputs) of a network; the bias is an input. */
export function modelShape(campaign: CampaignManifest): number[] {
  let width = 0;
  for (const step of campaign.features) width = widened(step, campaign.input, width);
  const inputs = width + 1;
  if (inputs > MAX_INPUTS) {
    throw new TermsRefused(`its features make ${inputs} columns, more than ${MAX_INPUTS}`);
  }
  const [output] = campaign.output.fields;
  const { kind, hidden } = campaign.algorithm;
  const classes = output?.constraints?.enum?.length ?? 0;
  if (kind === "mlp-classifier") return [inputs, hidden ?? 0, classes];
  if (kind !== "linear-regression") return [inputs, classes];
  const outputs = campaign.output.fields.map((field) => numericWidth(field, "output field"));
  return [inputs, outputs.reduce((sum, count) => sum + count, 0)];
}

function widened(step: FeatureStep, schema: TableSchema, width: number): number {
  switch (step.kind) {
    case "columns":
      return width + (step.columns ?? []).reduce((sum, name) => sum + columnWidth(schema, name), 0);
    case "hashed-text":
      return width + (step.features ?? 0);
    default:
      break;
  }
  if (width === 0)
    throw new TermsRefused(`step ${repr(step.kind)} needs columns: put a columns or text step before it`);
  if (step.kind !== "image-patches") return step.features ?? 0;
  const pixels = (step.height ?? 0) * (step.width ?? 0);
  if (pixels === 0 || width % pixels !== 0) {
    throw new TermsRefused(`${step.height} x ${step.width} images do not fit ${width} columns`);
  }
  return (step.filters ?? 0) * (step.pool ?? 0) ** 2 * (width / pixels);
}

function columnWidth(schema: TableSchema, name: string): number {
  const field = schema.fields.find((item) => item.name === name);
  if (field === undefined) {
    throw new TermsRefused(`its features name a field ${repr(name)} that its input lacks`);
  }
  return numericWidth(field, "field");
}

function numericWidth(field: SchemaField, what: string): number {
  if (NUMERIC.has(field.type)) return arrayLength(field);
  throw new TermsRefused(`${what} ${repr(field.name)} is ${field.type}, not numeric`);
}
