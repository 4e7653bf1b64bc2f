/** A store at a URL: writes by Kubo's RPC, reads by the Trustless Gateway, trusts neither. */
import { open } from "node:fs/promises";
import { CarBufferWriter } from "@ipld/car";
import type { CID } from "multiformats/cid";
import { digest } from "../canonical.ts";
import { BlobTooLarge, BlockMismatch, SizeMismatch, StoreRefused } from "../errors.ts";
import { type BlobRef, decodeManifest, encodeManifest, type Kind, MAX_MANIFEST_BYTES } from "../manifests.ts";
import { cut, isObject, repr } from "../text.ts";
import { type Block, checkBlock, cidOf, cidOfDigest, parseCid, RAW } from "./cid.ts";
import { ask } from "./http.ts";
import { fileBlocks, readFile, readPieces } from "./unixfs.ts";

const MAX_BLOCK_BYTES = 2 << 20;
const MAX_ANSWER_BYTES = 64 << 10;

export class Store {
  readonly #url: string;
  readonly #gateway: string;

  constructor(url: string, gateway: string | null = null) {
    this.#url = url.replace(/\/+$/, "");
    this.#gateway = (gateway ?? url).replace(/\/+$/, "");
  }

  /** Keep a manifest; return the digest, hexadecimal, that goes on chain. */
  async putManifest(manifest: object): Promise<string> {
    const data = encodeManifest(manifest);
    await this.#putBlock({ cid: cidOf(data), data });
    return Buffer.from(digest(data)).toString("hex");
  }

  /** Fetch, verify and decode a manifest of a known kind by its digest. */
  async getManifest<K extends Kind>(hex: string, kind: K) {
    return decodeManifest(await this.getManifestBytes(hex), kind);
  }

  async getManifestBytes(hex: string): Promise<Uint8Array> {
    const cid = cidOfDigest(Buffer.from(hex, "hex"));
    const data = await this.#fetchBlock(cid);
    if (data.length > MAX_MANIFEST_BYTES) {
      throw new BlobTooLarge(
        `${cid} has ${data.length} bytes, a manifest at most ${MAX_MANIFEST_BYTES}: ` +
          "move its large parts into blobs",
      );
    }
    return data;
  }

  /** Keep a file of any size; return the reference that a manifest lists it by. */
  async putRef(data: Uint8Array, purpose: string): Promise<BlobRef> {
    const blocks = [...fileBlocks([data])];
    const root = blocks.at(-1);
    if (root === undefined) throw new Error("a file has at least one block");
    if (blocks.length === 1) await this.#putBlock(root);
    else await this.#import(root, blocks);
    return { cid: root.cid.toString(), size: data.length, purpose };
  }

  /** Fetch a blob that a manifest lists, verified block by block. */
  async getRef(ref: BlobRef, maxBytes: number): Promise<Uint8Array> {
    checkRef(ref, maxBytes);
    const data = await readFile(parseCid(ref.cid), (cid) => this.#fetchBlock(cid), ref.size);
    checkFound(ref, data.length);
    return data;
  }

  /** Fetch a blob that a manifest lists into a file, a verified piece at a time. */
  async saveRef(ref: BlobRef, path: string, maxBytes: number): Promise<void> {
    checkRef(ref, maxBytes);
    const file = await open(path, "w", 0o600);
    try {
      const pieces = readPieces(parseCid(ref.cid), (cid) => this.#fetchBlock(cid), ref.size);
      let size = 0;
      for await (const piece of pieces) {
        await file.writeFile(piece);
        size += piece.length;
      }
      checkFound(ref, size);
    } finally {
      await file.close();
    }
  }

  async #fetchBlock(cid: CID): Promise<Uint8Array> {
    const headers = { accept: "application/vnd.ipld.raw" };
    const path = `/ipfs/${cid}?format=raw`;
    const data = await ask(this.#gateway, path, () => ({ headers }), MAX_BLOCK_BYTES, `block ${cid}`);
    return checkBlock(cid, data, this.#gateway);
  }

  async #putBlock({ cid, data }: Block): Promise<void> {
    const codec = cid.code === RAW ? "raw" : "dag-pb";
    const path = `/api/v0/block/put?cid-codec=${codec}&mhtype=sha2-256&pin=true`;
    const lines = await this.#post(path, data, `block ${cid}`);
    this.#checkAnswer(
      cid,
      lines.map((line) => line.Key),
    );
  }

  async #import(root: Block, blocks: Block[]): Promise<void> {
    const sizes = blocks.reduce((sum, block) => sum + block.data.length + 64, 256);
    const writer = CarBufferWriter.createWriter(new ArrayBuffer(sizes), { roots: [root.cid] });
    for (const { cid, data } of blocks) writer.write({ cid, bytes: data });
    const archive = writer.close({ resize: true });
    const lines = await this.#post("/api/v0/dag/import?pin-roots=true", archive, `file ${root.cid}`);
    const roots = lines.map((line) => line.Root).filter(isObject);
    for (const found of roots) {
      if (found.PinErrorMsg) {
        const said = repr(cut(String(found.PinErrorMsg), 80));
        throw new StoreRefused(`${this.#url} did not pin ${root.cid}: ${said}`);
      }
    }
    this.#checkAnswer(
      root.cid,
      roots.map((found) => (isObject(found.Cid) ? found.Cid["/"] : undefined)),
    );
  }

  #checkAnswer(cid: CID, found: unknown[]): void {
    if (found.length !== 1 || found[0] !== cid.toString()) {
      throw new BlockMismatch(
        `${this.#url} says it kept ${cut(repr(found), 80)} where ${cid} was sent: do not use this store`,
      );
    }
  }

  async #post(path: string, data: Uint8Array, subject: string): Promise<Record<string, unknown>[]> {
    const request = (): RequestInit => {
      const body = new FormData();
      body.append("file", new Blob([data as Uint8Array<ArrayBuffer>]), "file");
      return { method: "POST", body };
    };
    const answer = await ask(this.#url, path, request, MAX_ANSWER_BYTES, subject);
    const lines = Buffer.from(answer)
      .toString("utf8")
      .split("\n")
      .filter((line) => line.trim() !== "");
    try {
      const values = lines.map((line) => JSON.parse(line) as unknown);
      if (values.every(isObject)) return values;
    } catch {
      // Told below.
    }
    throw new StoreRefused(
      `${this.#url} answered about ${subject} with something that is not JSON: ` +
        "is this the RPC port of the store?",
    );
  }
}

function checkRef(ref: BlobRef, maxBytes: number): void {
  if (ref.size > maxBytes) {
    throw new BlobTooLarge(
      `the manifest's ${ref.purpose} ${ref.cid} has ${ref.size} bytes, at most ${maxBytes} ` +
        "were allowed for it",
    );
  }
}

function checkFound(ref: BlobRef, size: number): void {
  if (size !== ref.size) {
    throw new SizeMismatch(
      `the manifest says that ${ref.purpose} ${ref.cid} has ${ref.size} bytes, ` +
        `it has ${size}: the manifest is wrong, refuse it`,
    );
  }
}
