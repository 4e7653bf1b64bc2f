import { describe, expect, test } from "vitest";
import { explorerLink } from "../src/ui/explorer";

const HASH = `0x${"ab".repeat(32)}`;

describe("explorerLink", () => {
  test("leads to the explorer of a public chain, known by its id or its name", () => {
    expect(explorerLink(1, "tx", HASH)).toBe(`https://etherscan.io/tx/${HASH}`);
    expect(explorerLink("sepolia", "tx", HASH)).toBe(`https://sepolia.etherscan.io/tx/${HASH}`);
    expect(explorerLink(560_048, "address", `0x${"12".repeat(20)}`)).toBe(`https://hoodi.etherscan.io/address/0x${"12".repeat(20)}`);
  });
  test.each([31_337, "devnet", "__proto__", "constructor", undefined])("leads nowhere on chain %s", (chain) => {
    expect(explorerLink(chain, "tx", HASH)).toBeUndefined();
  });
  test.each(["", "0x", "0x12/../..", `${HASH}?x`, "javascript:alert(1)"])("makes no link of %j", (hash) => {
    expect(explorerLink(1, "tx", hash)).toBeUndefined();
  });
});
