import { Refusal } from "@openmined/shared/ui";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Hex } from "viem";
import { readNetwork } from "../../shared/api";
import { StillWaiting } from "../../shared/wallet/StillWaiting";
import type { Stage } from "../../shared/wallet/transact";
import type { Progress } from "../../shared/wallet/useTransaction";
import { useWallet } from "../../shared/wallet/WalletProvider";
import { type Draft, discardDraft, keptFile } from "./draft";
import type { Plan } from "./plan";
import type { Task } from "./task";

interface Wish {
  readonly plan: Plan;
  readonly task: Task;
}

async function keptModelOf({ earlier }: Draft): Promise<Blob | undefined> {
  if (!earlier) return undefined;
  const kept = await keptFile("weights");
  if (!kept) throw new Refusal("The model is no longer kept in this browser", "Choose again where the campaign starts.");
  return kept;
}

/** What need not be followed any longer after a failure. */
function ended(error: unknown): Partial<Draft> {
  return error instanceof StillWaiting ? {} : { allowance: undefined, hash: undefined };
}

/** Launches a draft, or goes on with a launch that was begun; answers with the campaign's number. */
export function useLaunch(draft: Draft, change: (part: Partial<Draft>) => void, onDone: (campaign: bigint) => void) {
  const { wallet } = useWallet();
  const queries = useQueryClient();
  const [progress, setProgress] = useState<Progress | "sealing">();
  const onStage = (prepared: Draft["prepared"]) => (stage: Stage, hash?: Hex) => {
    setProgress({ stage, hash });
    if (hash && stage === "allowing") change({ prepared, allowance: hash });
    if (hash && stage === "waiting") change({ prepared, allowance: undefined, hash });
  };
  const settle = {
    onSuccess: async (campaign: bigint) => {
      await discardDraft();
      void queries.invalidateQueries();
      onDone(campaign);
    },
    onSettled: () => setProgress(undefined),
  };
  const launch = useMutation({
    ...settle,
    mutationFn: async ({ plan, task }: Wish) => {
      if (!wallet) throw new Error("connect a wallet first");
      const [{ prepare }, { launchPrepared }] = await Promise.all([import("./prepare"), import("./send")]);
      const network = await readNetwork();
      let { prepared } = draft;
      if (!prepared || prepared.deadline - Date.now() / 1000 < plan.durationS / 2) {
        setProgress("sealing");
        change({ sealing: true });
        const sealing = keptModelOf(draft).then((model) => prepare(network, plan, task, model));
        prepared = await sealing.finally(() => change({ sealing: undefined }));
        change({ prepared });
      }
      try {
        return await launchPrepared(network, wallet, plan, prepared, onStage(prepared), draft.allowance as Hex | undefined);
      } catch (error) {
        change({ prepared, ...ended(error) });
        throw error;
      }
    },
  });
  const resume = useMutation({
    ...settle,
    mutationFn: async (hash: Hex) => {
      if (!wallet) throw new Error("connect a wallet first");
      const { resumeLaunch } = await import("./send");
      try {
        return await resumeLaunch(await readNetwork(), wallet, hash, onStage(draft.prepared));
      } catch (error) {
        change({ prepared: draft.prepared, ...ended(error) });
        throw error;
      }
    },
  });
  return { launch, resume, progress, busy: launch.isPending || resume.isPending, error: launch.error ?? resume.error };
}
