import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { cidOf, cidOfDigest, connectStore, encodeFile, parseCid, readFile, StoreError } from "../src/store";

interface Vector {
  content: "shake-256" | "zeros";
  seed: string;
  size: number;
  cid: string;
}
const VECTORS = JSON.parse(readFileSync(new URL("../../../tests/vectors/cids/files.json", import.meta.url), "utf8")) as { files: Vector[] };
const small = VECTORS.files.filter((file) => file.size < 4 << 20);

function contentOf(file: Vector): Uint8Array {
  if (file.content === "zeros") return new Uint8Array(file.size);
  if (file.size === 0) return new Uint8Array();
  return new Uint8Array(createHash("shake256", { outputLength: file.size }).update(file.seed).digest());
}

afterEach(() => vi.unstubAllGlobals());

describe("files", () => {
  test.each(small.map((file) => [file.size, file] as const))("of %s bytes have the CID every IPFS node gives them", async (_, file) => {
    const content = contentOf(file);
    const { root, blocks } = encodeFile(content);
    expect(root.text).toBe(file.cid);
    const kept = new Map(blocks.map((block) => [block.cid.text, block.data]));
    const again = await readFile(root, async (cid) => kept.get(cid.text) as Uint8Array, file.size);
    expect(Buffer.compare(again, content)).toBe(0);
  });

  test("a file that holds more than was expected is refused before its parts are fetched", async () => {
    const { root, blocks } = encodeFile(new Uint8Array((1 << 20) + 1));
    const fetched: string[] = [];
    const fetch = async (cid: { text: string }) => {
      fetched.push(cid.text);
      return blocks.find((block) => block.cid.text === cid.text)?.data as Uint8Array;
    };
    await expect(readFile(root, fetch, 1 << 20)).rejects.toThrow(/at most 1048576/);
    expect(fetched).toEqual([root.text]);
  });
});

describe("CIDs", () => {
  test("text and bytes are two forms of one", () => {
    const cid = cidOf(new TextEncoder().encode("openmined"));
    expect(parseCid(cid.text)).toEqual(cid);
    expect(cidOfDigest(`0x${Buffer.from(cid.digest).toString("hex")}`)).toEqual(cid);
  });

  const good = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
  test.each([
    "",
    "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWp9",
    good.toUpperCase(),
    `${good.slice(0, -1)}v`,
    `${good}a`,
    good.replace("q", "1"),
  ])("%j is refused", (text) => {
    expect(() => parseCid(text)).toThrow();
  });
});

describe("the store", () => {
  const data = new TextEncoder().encode("a block");
  const cid = cidOf(data);

  test("gives what the CID names", async () => {
    vi.stubGlobal("fetch", async () => new Response(data));
    expect(await connectStore("http://store/").getBlock(cid)).toEqual(data);
  });

  const faults: [string, () => Promise<Response>][] = [
    ["forged", async () => new Response("other bytes")],
    ["missing", async () => new Response("no", { status: 404 })],
    ["refused", async () => new Response("<script>", { status: 403 })],
    ["too-large", async () => new Response(new Uint8Array(3 << 20))],
    ["unreachable", async () => Promise.reject(new TypeError("fetch failed"))],
  ];
  test.each(faults)("that is %s is said to be so", async (fault, answer) => {
    vi.stubGlobal("fetch", answer);
    const error = await connectStore("http://store")
      .getBlock(cid)
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(error).toBeInstanceOf(StoreError);
    expect((error as StoreError).fault).toBe(fault);
  });

  test("that keeps a block under another name is not believed", async () => {
    vi.stubGlobal("fetch", async () => Response.json({ Key: "bafkreielsewhere", Size: 7 }));
    await expect(connectStore("http://store").putBlock(data)).rejects.toThrow(/another name/);
  });
});
