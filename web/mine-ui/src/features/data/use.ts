import type { Campaign, Dataset } from "../../shared/api";

/** What a dataset takes on disk, encrypted. */
export function sizeOf(dataset: Dataset): number {
  return dataset.imports.reduce((sum, part) => sum + part.bytes, 0);
}

/** What a dataset was used for: campaigns, and gradients that left the mine. */
export function countUse(name: string, campaigns: readonly Campaign[]): { campaigns: number; gradients: number } {
  const work = campaigns
    .flatMap((campaign) => campaign.submissions)
    .filter((submission) => submission.gradient !== null && submission.datasets.includes(name));
  return { campaigns: new Set(work.map((submission) => submission.campaign)).size, gradients: work.length };
}
