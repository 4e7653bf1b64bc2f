/** Reading the chain: through the wallet when one is connected, else through the operator's node. */

import type { SonarPlace } from "@openmined/shared/sonar";
import { Refusal } from "@openmined/shared/ui";
import { type Chain, createPublicClient, custom, defineChain, type EIP1193Provider, getAddress, http, type PublicClient } from "viem";
import type { NetworkInfo } from "./api";

export function chainOf(network: NetworkInfo): Chain {
  const urls = network.rpc_url ? [network.rpc_url] : [];
  return defineChain({
    id: network.chain_id,
    name: network.name ?? `chain ${network.chain_id}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: urls } },
  });
}

export function placeOf(network: NetworkInfo): SonarPlace {
  return { chainId: network.chain_id, contract: getAddress(network.contract), firstBlock: BigInt(network.first_block) };
}

export function readerOf(network: NetworkInfo, provider?: EIP1193Provider): PublicClient {
  const chain = chainOf(network);
  const pollingInterval = 1_000;
  if (provider) return createPublicClient({ chain, transport: custom(provider), pollingInterval });
  if (!network.rpc_url) {
    throw new Refusal("No node to read the chain from", "The operator of this page names none: connect a wallet, and its node is used.");
  }
  return createPublicClient({ chain, transport: http(network.rpc_url, { timeout: 15_000 }), pollingInterval });
}
