import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Hex, TransactionReceipt } from "viem";
import { readNetwork } from "../api";
import type { Request, Stage } from "./transact";
import { useWallet } from "./WalletProvider";

export interface Progress {
  readonly stage: Stage;
  readonly hash: Hex | undefined;
}

/** Sends a transaction and says where it is; afterwards everything shown is looked at anew. */
export function useTransaction(onDone?: (receipt: TransactionReceipt) => void) {
  const { wallet } = useWallet();
  const queries = useQueryClient();
  const [progress, setProgress] = useState<Progress>();
  const mutation = useMutation({
    mutationFn: async (request: Request) => {
      if (!wallet) throw new Error("connect a wallet first");
      const { transact } = await import("./transact");
      return transact(await readNetwork(), wallet, request, (stage, hash) => setProgress({ stage, hash }));
    },
    onSuccess: (receipt) => {
      void queries.invalidateQueries();
      onDone?.(receipt);
    },
    onSettled: () => setProgress(undefined),
  });
  return { ...mutation, progress };
}
