/** Manifests: read from untrusted bytes, checked against their published JSON Schemas. */

import campaign from "../../../../docs/manifests/campaign-1.schema.json";
import delivery from "../../../../docs/manifests/delivery-1.schema.json";
import keys from "../../../../docs/manifests/keys-1.schema.json";
import receipt from "../../../../docs/manifests/receipt-1.schema.json";
import type { components } from "../generated/manifests";
import { decodeCanonical, encodeCanonical, MAX_MANIFEST_BYTES, NotCanonical } from "./canonical";
import { findFault, type JsonSchema } from "./schema";

type Schemas = components["schemas"];
export type CampaignManifest = Schemas["CampaignManifest"];
export type DeliveryManifest = Schemas["DeliveryManifest"];
export type KeysManifest = Schemas["KeysManifest"];
export type ReceiptManifest = Schemas["ReceiptManifest"];
export type TableSchema = Schemas["TableSchema"];
export type SchemaField = Schemas["SchemaField"];
export type FeatureStep = CampaignManifest["features"][number];
export type Algorithm = CampaignManifest["algorithm"];
export type BlobRef = Schemas["BlobRef"];

interface Kinds {
  "openmined/campaign@1": CampaignManifest;
  "openmined/delivery@1": DeliveryManifest;
  "openmined/keys@1": KeysManifest;
  "openmined/receipt@1": ReceiptManifest;
}
export type Format = keyof Kinds;

const SCHEMAS: Readonly<Record<Format, JsonSchema>> = {
  "openmined/campaign@1": campaign as JsonSchema,
  "openmined/delivery@1": delivery as JsonSchema,
  "openmined/keys@1": keys as JsonSchema,
  "openmined/receipt@1": receipt as JsonSchema,
};

export class ManifestError extends Error {
  override name = "ManifestError";
}

/** Reads a manifest of a known kind; refuses every other, and what breaks its schema. */
export function decodeManifest<F extends Format>(data: Uint8Array, format: F): Kinds[F] {
  try {
    const value = decodeCanonical(data);
    check(value, format);
    return value as unknown as Kinds[F];
  } catch (error) {
    if (error instanceof NotCanonical) throw new ManifestError(`no ${format} manifest: ${error.message}`);
    throw error;
  }
}

/** Writes a manifest canonically, checked against its schema. */
export function encodeManifest<F extends Format>(manifest: Kinds[F]): Uint8Array {
  check(manifest, manifest.format as Format);
  const data = encodeCanonical(manifest);
  if (data.length > MAX_MANIFEST_BYTES) throw new ManifestError(`a manifest of ${data.length} bytes is above 1 MiB`);
  return data;
}

function check(value: unknown, format: Format): void {
  const found = (value as { format?: unknown } | null)?.format;
  if (found !== format) {
    throw new ManifestError(`expected a manifest of format ${format}, found ${JSON.stringify(found)?.slice(0, 80)}`);
  }
  const schema = SCHEMAS[format];
  const fault = findFault(value, schema, schema);
  if (fault) throw new ManifestError(`${format} manifest refused: ${fault}`);
}
