import { Anchor, Button, Group, Stack, Text } from "@mantine/core";
import { Empty, Failure, Loaded, useNow, When } from "@openmined/shared/ui";
import { Link } from "wouter";
import { ask, type Campaign, type Decision, useCampaigns, useChange, useDecisions } from "./api";
import { Amount } from "./money";
import { capitalised, count, reasonOf, seconds, titleOf, waitingForOwner } from "./words";
import "./card.css";

/** Why an owner is asked who wants to be asked about everything: no news. */
const ASKED = "the owner has to be asked";

/** Campaigns that wait for the owner's answer. */
export function WaitingDecisions() {
  const campaigns = useCampaigns();
  const decisions = useDecisions();
  const now = useNow();
  const waiting = waitingForOwner(decisions.data ?? [], campaigns.data ?? [], now);
  return (
    <Loaded query={decisions} lines={2}>
      {() =>
        waiting.length === 0 ? (
          <Empty title="Nothing waits for you">Campaigns come here when a dataset’s permission says that you are asked first.</Empty>
        ) : (
          <Stack gap="sm">
            {waiting.map((decision) => (
              <Waiting
                key={decision.id}
                decision={decision}
                campaign={campaigns.data?.find((found) => found.campaign === decision.campaign)}
              />
            ))}
          </Stack>
        )
      }
    </Loaded>
  );
}

function Waiting({ decision, campaign }: { decision: Decision; campaign: Campaign | undefined }) {
  const title = titleOf(decision.title, decision.campaign);
  const reason = reasonOf(decision);
  const give = useChange((answer: "approved" | "refused") =>
    ask<Decision>("PUT", `/decisions/${decision.campaign}/${encodeURIComponent(decision.dataset)}`, { answer }),
  );
  return (
    <article className="card" aria-label={`${title}, with ${decision.dataset}`}>
      <Group justify="space-between" align="center">
        <div style={{ flex: "1 1 18rem", minWidth: 0 }}>
          <Anchor component={Link} href={`/campaigns/${decision.campaign}`} fw={600} className="om-breaks" lineClamp={2}>
            {title}
          </Anchor>
          <Text size="sm" component="div">
            wants to train on <b>{decision.dataset}</b>
            {campaign && (
              <>
                , pays mines up to <Amount value={campaign.bounty_wei} token={campaign.token} digits={4} /> and asks a bond of{" "}
                <Amount value={campaign.bond_wei} token={campaign.token} digits={4} /> a gradient
              </>
            )}
          </Text>
          {reason !== ASKED && (
            <Text size="sm" className="om-breaks">
              {capitalised(reason)}.
            </Text>
          )}
          <Text size="sm" className="om-muted" component="div">
            Asked <When at={seconds(decision.at)} />
            {campaign && (
              <>
                , deadline <When at={campaign.deadline} />
              </>
            )}
            {campaign && campaign.submissions.length > 0 && `, ${count(campaign.submissions.length, "gradient")} so far`}
          </Text>
        </div>
        {decision.answer !== "none" ? (
          <Text size="sm" role="status">
            You {decision.answer} it. The mine takes that up at its next look.
          </Text>
        ) : (
          <Group gap="sm">
            <Button size="sm" loading={give.isPending} onClick={() => give.mutate("approved")} aria-label={`Approve ${title}`}>
              Approve
            </Button>
            <Button
              size="sm"
              variant="default"
              disabled={give.isPending}
              onClick={() => give.mutate("refused")}
              aria-label={`Refuse ${title}`}
            >
              Refuse
            </Button>
          </Group>
        )}
      </Group>
      {give.isError && <Failure error={give.error} title="Your answer was not kept" />}
    </article>
  );
}
