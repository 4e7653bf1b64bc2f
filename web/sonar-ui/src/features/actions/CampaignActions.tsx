import type { CampaignDetail } from "../../shared/api";
export function CampaignActions(_: { campaign: CampaignDetail }) { return null; }
