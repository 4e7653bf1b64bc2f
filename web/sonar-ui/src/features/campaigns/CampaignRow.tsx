import { Anchor, Text } from "@mantine/core";
import { When } from "@openmined/shared/ui";
import { Link } from "wouter";
import { AccuracyBar } from "../../shared/AccuracyBar";
import { Amount } from "../../shared/amounts";
import type { Campaign } from "../../shared/api";
import { count, isOver, titleOf } from "../../shared/campaign";
import { PhaseBadge } from "../../shared/PhaseBadge";
import "./row.css";

export function CampaignRow({ campaign }: { campaign: Campaign }) {
  return (
    <article className="row">
      <div className="row-title">
        <Anchor component={Link} href={`/campaigns/${campaign.campaign}`} fw={600} className="om-breaks" lineClamp={2}>
          {titleOf(campaign)}
        </Anchor>
        <Text size="sm" className="om-muted">
          No. {campaign.campaign} · {count(campaign.mines, "mine")} · {count(campaign.gradients, "gradient")}
        </Text>
      </div>
      <PhaseBadge phase={campaign.phase} />
      <AccuracyBar campaign={campaign} />
      <Money campaign={campaign} />
      <Text size="sm" component="div">
        {isOver(campaign) ? "Ended " : "Deadline "}
        <When at={isOver(campaign) ? (campaign.ended_at ?? campaign.updated_at) : campaign.deadline} />
      </Text>
    </article>
  );
}

function Money({ campaign }: { campaign: Campaign }) {
  const over = isOver(campaign);
  return (
    <Text size="sm" component="div">
      <Amount value={over ? campaign.paid : campaign.unspent} token={campaign.token} digits={4} />{" "}
      <span className="om-muted">
        {over ? "paid of" : "left of"} <Amount value={campaign.bounty} token={campaign.token} digits={4} />
      </span>
    </Text>
  );
}
