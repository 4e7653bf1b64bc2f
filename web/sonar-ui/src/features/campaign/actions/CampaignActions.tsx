import { Group, Stack } from "@mantine/core";
import { useNow } from "@openmined/shared/ui";
import type { CampaignDetail } from "../../../shared/api";
import { isOver } from "../../../shared/campaign";
import { useWallet } from "../../../shared/wallet/WalletProvider";
import { Delivery } from "./Delivery";
import { SimpleAction } from "./SimpleAction";
import { TopUp } from "./TopUp";
import { Withdraw } from "./Withdraw";

/** What can be done with a campaign now, by whoever looks at it. */
export function CampaignActions({ campaign }: { campaign: CampaignDetail }) {
  const { wallet } = useWallet();
  const now = useNow();
  const mine = wallet?.account.toLowerCase() === campaign.data_scientist;
  const over = isOver(campaign);
  const reached = (campaign.best_ppm ?? 0) >= campaign.target_ppm;
  return (
    <Stack gap="sm">
      {campaign.delivery && <Delivery campaign={campaign.campaign} digest={campaign.delivery} />}
      <Group gap="sm" align="start">
        {!over && now < campaign.deadline && !reached && <TopUp campaign={campaign} />}
        {campaign.phase === "launched" && mine && (
          <SimpleAction
            label="Cancel the campaign"
            call="cancel_campaign"
            args={[BigInt(campaign.campaign)]}
            question="The campaign ends before it begins, and the whole bounty is credited to you."
            done="Cancelled. The bounty is credited to you: withdraw it."
          />
        )}
        {!over && now > campaign.deadline + campaign.grace && (
          <SimpleAction
            label="Expire the campaign"
            call="expire_campaign"
            args={[BigInt(campaign.campaign)]}
            question="Capsule let deadline and grace pass. Bonds go back to the mines, and what is left to the data scientist."
            done="Expired. What was left is credited."
          />
        )}
      </Group>
      {wallet && <Withdraw token={campaign.token} />}
    </Stack>
  );
}
