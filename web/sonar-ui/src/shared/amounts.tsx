/** Amounts of a campaign's token. */

import { ETH, formatAmount, shortHash, type Token } from "@openmined/shared/format";
import { useQuery } from "@tanstack/react-query";
import { readNetwork } from "./api";

const NO_TOKEN = /^0x0{40}$/;

export function isEth(token: string): boolean {
  return NO_TOKEN.test(token);
}

/** The token's symbol and decimals; until they are known, or when no node tells, smallest units. */
export function useToken(address: string): Token {
  const known = useQuery({
    queryKey: ["network", "token", address],
    enabled: !isEth(address),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    queryFn: async () => {
      const [{ readToken }, network] = await Promise.all([import("./chain"), readNetwork()]);
      return readToken(network, address);
    },
  });
  if (isEth(address)) return ETH;
  return known.data ?? { symbol: `units of ${shortHash(address)}`, decimals: 0 };
}

export function Amount({ value, token, digits }: { value: string | bigint; token: string; digits?: number }) {
  return <span style={{ whiteSpace: "nowrap" }}>{formatAmount(BigInt(value), useToken(token), digits)}</span>;
}
