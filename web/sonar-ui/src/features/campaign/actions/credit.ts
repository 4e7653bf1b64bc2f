import { sonarAbi } from "@openmined/shared/sonar";
import { getAddress } from "viem";
import type { NetworkInfo } from "../../../shared/api";
import { placeOf, readerOf } from "../../../shared/chain";
import type { Wallet } from "../../../shared/wallet/WalletProvider";

export async function readCredit(network: NetworkInfo, wallet: Wallet, token: string): Promise<bigint> {
  const provider = wallet.chainId === network.chain_id ? wallet.provider : undefined;
  return readerOf(network, provider).readContract({
    address: placeOf(network).contract,
    abi: sonarAbi,
    functionName: "credit",
    args: [getAddress(token), wallet.account],
  });
}
