/** What a campaign's figures mean, in words. */

import type { Campaign } from "./api";

export const PHASE_WORDS: Readonly<Record<Campaign["phase"], { label: string; color: string }>> = {
  launched: { label: "Waiting to open", color: "yellow" },
  open: { label: "Open", color: "blue" },
  delivered: { label: "Delivered", color: "teal" },
  rejected: { label: "Rejected", color: "red" },
  cancelled: { label: "Cancelled", color: "gray" },
  expired: { label: "Expired", color: "gray" },
};

export function titleOf(campaign: Campaign): string {
  return campaign.title ?? `Campaign ${campaign.campaign}`;
}

export function isOver(campaign: Campaign): boolean {
  return campaign.phase !== "launched" && campaign.phase !== "open";
}

/** What anybody has to wait for, and until when. */
export function waitingFor(campaign: Campaign, now: number): string {
  const end = campaign.deadline + campaign.grace;
  if (isOver(campaign)) return END_WORDS[campaign.phase as keyof typeof END_WORDS];
  if (now > end)
    return "Capsule has been silent for too long: anybody may expire the campaign, and what is left goes back to the data scientist.";
  if (campaign.phase === "launched")
    return "Waiting for Capsule to open the validation set, measure the starting accuracy and publish the encrypted model.";
  const finished = (campaign.best_ppm ?? 0) >= campaign.target_ppm || now >= campaign.deadline;
  if (campaign.pending > 0) return `Waiting for Capsule to score ${count(campaign.pending, "gradient")}.`;
  if (finished) return "Waiting for Capsule to deliver the model.";
  return "Waiting for mines to train on their own data and submit gradients.";
}

const END_WORDS = {
  delivered: "The model was delivered, encrypted to the data scientist. What was not earned went back to her.",
  rejected: "Capsule rejected the campaign before it opened. The whole bounty went back.",
  cancelled: "The data scientist cancelled the campaign before it opened. The whole bounty went back.",
  expired: "Capsule did not deliver in time. What was not earned went back to the data scientist.",
} as const;

export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
