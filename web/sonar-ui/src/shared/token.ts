/** What an ERC-20 token says of itself. Name and decimals are optional in EIP-20, and a stranger's words. */

import type { Token } from "@openmined/shared/format";
import { Refusal } from "@openmined/shared/ui";
import { type Address, erc20Abi, erc20Abi_bytes32, getAddress, hexToString, isAddress, type PublicClient } from "viem";

/** A token, and whether it says how many decimals it has: if not, amounts are in its smallest unit. */
export interface KnownToken extends Token {
  readonly divides: boolean;
}

const MOST_DECIMALS = 36;

/** Asks a token for its symbol and decimals.
 *
 * Throws a `Refusal` if there is no contract at the address, or one that holds no balances.
 */
export async function readToken(reader: PublicClient, holder: Address, text: string): Promise<KnownToken> {
  if (!isAddress(text))
    throw new Refusal("A digit of this address is wrong", "Its capitals are a checksum that does not fit: copy it anew");
  const address = getAddress(text);
  if (!(await reader.getCode({ address }))) {
    throw new Refusal("No contract is at this address", "Look it up again: on this network nothing was deployed there");
  }
  const token = { address, abi: erc20Abi } as const;
  await reader.readContract({ ...token, functionName: "balanceOf", args: [holder] }).catch(() => {
    throw new Refusal("This is no ERC-20 token", "The contract at this address does not tell what an account holds");
  });
  const decimals = await reader.readContract({ ...token, functionName: "decimals" }).catch(() => undefined);
  if (decimals !== undefined && decimals > MOST_DECIMALS) {
    throw new Refusal("This token cannot be shown", `It says that it has ${decimals} decimals; at most ${MOST_DECIMALS} make sense`);
  }
  return { symbol: await readSymbol(reader, address), decimals: decimals ?? 0, divides: decimals !== undefined };
}

/** Early tokens give their symbol as 32 bytes. */
async function readSymbol(reader: PublicClient, address: Address): Promise<string> {
  const said = await reader
    .readContract({ address, abi: erc20Abi, functionName: "symbol" })
    .catch(async () => hexToString(await reader.readContract({ address, abi: erc20Abi_bytes32, functionName: "symbol" }), { size: 32 }))
    .catch(() => "");
  return said.replace(/[^\w.$-]/g, "").slice(0, 12) || "tokens";
}
