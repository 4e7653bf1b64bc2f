/** Where the transactions of public chains can be looked up. */

interface Explorer {
  readonly chain: number;
  readonly names: readonly string[];
  readonly url: string;
}

const EXPLORERS: readonly Explorer[] = [
  { chain: 1, names: ["mainnet", "ethereum"], url: "https://etherscan.io" },
  { chain: 11_155_111, names: ["sepolia"], url: "https://sepolia.etherscan.io" },
  { chain: 560_048, names: ["hoodi"], url: "https://hoodi.etherscan.io" },
];

/** The page about a transaction or an account, for a chain's id or name; none where its chain has no explorer. */
export function explorerLink(chain: number | string | undefined, kind: "tx" | "address", hash: string): string | undefined {
  const found = EXPLORERS.find((explorer) => explorer.chain === chain || explorer.names.some((name) => name === chain));
  return found && /^0x[0-9a-fA-F]+$/.test(hash) ? `${found.url}/${kind}/${hash}` : undefined;
}
