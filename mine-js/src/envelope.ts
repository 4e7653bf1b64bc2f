/** A gradient's envelope: the body that binds it, as DAG-CBOR, sealed to Capsule's certificate. */
import { encode } from "@ipld/dag-cbor";
import { BadDownload, textOf } from "./errors.ts";
import type { SonarRef } from "./manifests.ts";

/** One encrypted gradient and what binds it to its mine. */
export interface GradientBody {
  format: "openmined/gradient-body@1";
  chain: SonarRef;
  campaign: number;
  version: number;
  epoch: number;
  miner: string;
  kind: string;
  samples: number;
  ciphertexts: Uint8Array[];
}

/** Encrypt a gradient body to Capsule; the result is not armoured. */
export async function sealGradient(body: GradientBody, certificate: string): Promise<Uint8Array> {
  // Loaded when there is something to seal: half of a mine's start-up time otherwise.
  const { createMessage, encrypt, readKey } = await import("openpgp");
  try {
    const encryptionKeys = await readKey({ armoredKey: certificate });
    const message = await createMessage({ binary: encode(body) });
    return (await encrypt({ message, encryptionKeys, format: "binary" })) as Uint8Array;
  } catch (error) {
    throw new BadDownload(`Capsule's certificate cannot be used: ${textOf(error).slice(0, 200)}`);
  }
}
