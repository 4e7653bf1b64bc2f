/** Amounts of a campaign's token. */

import { ETH, formatAmount, shortHash, type Token } from "@openmined/shared/format";
import { useQuery } from "@tanstack/react-query";
import { readNetwork } from "./api";
import { useWallet } from "./wallet/WalletProvider";

const NO_TOKEN = /^0x0{40}$/;

export function isEth(token: string): boolean {
  return NO_TOKEN.test(token);
}

interface TokenState {
  readonly token: Token;
  /** Whether it is known by now: amounts that a person enters cannot be read before. */
  readonly known: boolean;
  /** Whether it says how many decimals it has. */
  readonly divides: boolean;
  readonly error: unknown;
}

/** A token as it describes itself; until it has, or when no node tells, amounts are in its smallest unit. */
export function useTokenState(address: string): TokenState {
  const { wallet } = useWallet();
  const query = useQuery({
    queryKey: ["network", "token", address.toLowerCase(), wallet?.chainId],
    enabled: !isEth(address),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    queryFn: async () => {
      const [{ readToken }, { placeOf, readerOf }, network] = await Promise.all([import("./token"), import("./chain"), readNetwork()]);
      const provider = wallet?.chainId === network.chain_id ? wallet.provider : undefined;
      return readToken(readerOf(network, provider), placeOf(network).contract, address);
    },
  });
  if (isEth(address)) return { token: ETH, known: true, divides: true, error: null };
  const token = query.data ?? { symbol: `units of ${shortHash(address)}`, decimals: 0 };
  return { token, known: query.data !== undefined, divides: query.data?.divides ?? true, error: query.error };
}

export function useToken(address: string): Token {
  return useTokenState(address).token;
}

/** An amount in its token's own unit; three dots while the token is being asked for it. */
export function Amount({ value, token, digits }: { value: string | bigint; token: string; digits?: number }) {
  const { token: unit, known, error } = useTokenState(token);
  const text = known || error !== null ? formatAmount(BigInt(value), unit, digits) : "…";
  return <span style={{ whiteSpace: "nowrap" }}>{text}</span>;
}
