/** The contract's arithmetic, written a second time, so that anybody can check a payment. */

export const PPM = 1_000_000n;

export interface BatchTerms {
  readonly bounty: bigint;
  readonly fee: bigint;
  readonly bestPpm: bigint;
  readonly accuracyPpm: bigint;
  readonly targetPpm: bigint;
  readonly minImprovementPpm: bigint;
}

/** Whether a batch's gain is one that is paid: at least the Ladder step, or it reaches the target. */
export function counts(batch: BatchTerms): boolean {
  const gain = batch.accuracyPpm - batch.bestPpm;
  return gain >= batch.minImprovementPpm || (batch.accuracyPpm >= batch.targetPpm && gain > 0n);
}

/** (min(accuracy, target) - best) x (bounty - fee) / target, rounded down; 0 unless it counts. */
export function batchPayout(batch: BatchTerms): bigint {
  if (!counts(batch)) return 0n;
  // biome-ignore lint/complexity/useMathMinMax: Math.min takes no bigint
  const reached = batch.accuracyPpm < batch.targetPpm ? batch.accuracyPpm : batch.targetPpm;
  return ((reached - batch.bestPpm) * (batch.bounty - batch.fee)) / batch.targetPpm;
}

/** One gradient's part of a batch: total x share, rounded down. */
export function sharePayout(total: bigint, sharePpm: bigint): bigint {
  return (total * sharePpm) / PPM;
}
