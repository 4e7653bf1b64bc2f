/** Links to what stands on the store. */

import { blockUrl, cidOfDigest } from "@openmined/shared/store";
import type { Hex } from "viem";

/** The CID of the manifest with a digest on chain, and where it can be read, if a store is known. */
export function cidLink(digest: string, store: string | null | undefined): { cid: string; href: string | undefined } {
  const cid = cidOfDigest(digest as Hex).text;
  return { cid, href: store && /^https?:\/\//.test(store) ? blockUrl(store, cid) : undefined };
}
