import { Alert, Group, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { formatCount, formatPercent, formatPpm } from "@openmined/shared/format";
import { Figure, Hash, Loaded, useNow, When } from "@openmined/shared/ui";
import { Amount } from "../../shared/amounts";
import { type CampaignDetail, useBatches, useCampaign } from "../../shared/api";
import { count, isOver, titleOf, waitingFor } from "../../shared/campaign";
import { PhaseBadge } from "../../shared/PhaseBadge";
import { CampaignActions } from "./actions/CampaignActions";
import { AuditPanel } from "./audit/AuditPanel";
import { BatchTable } from "./BatchTable";
import { Facts } from "./Facts";
import { ProgressChart } from "./ProgressChart";

export default function CampaignPage({ campaign }: { campaign: number }) {
  const query = useCampaign(campaign);
  return <Loaded query={query}>{(found) => <Found campaign={found} />}</Loaded>;
}

function Found({ campaign }: { campaign: CampaignDetail }) {
  useDocumentTitle(`${titleOf(campaign).slice(0, 80)} · Sonar`);
  const now = useNow();
  const batches = useBatches(campaign.campaign);
  return (
    <Stack gap="xl">
      <div>
        <Group gap="md" mb="xs">
          <PhaseBadge phase={campaign.phase} />
          <Text size="sm" className="om-muted" component="div">
            No. {campaign.campaign}, launched <When at={campaign.launched_at} /> by{" "}
            <Hash text={campaign.data_scientist} label="the data scientist's address" />
          </Text>
        </Group>
        <Title order={1} className="om-breaks">
          {titleOf(campaign)}
        </Title>
        {campaign.description && (
          <Text mt="xs" maw={720} className="om-breaks" style={{ whiteSpace: "pre-line" }}>
            {campaign.description}
          </Text>
        )}
      </div>
      <Figures campaign={campaign} />
      <Alert variant="light" color="gray" role="status" title={isOver(campaign) ? "How it ended" : "What is being waited for"}>
        {waitingFor(campaign, now)}
        {campaign.reject_reason && <span className="om-breaks"> Its reason: “{campaign.reject_reason}”.</span>}
        {campaign.manifest !== "read" && <span> The manifest could not be read{campaign.problem ? `: ${campaign.problem}` : " yet"}.</span>}
      </Alert>
      <CampaignActions campaign={campaign} />
      <section aria-label="Accuracy and spend over time">
        <Title order={2} mb="sm">
          Accuracy and spend
        </Title>
        <Loaded query={batches}>{(found) => <ProgressChart campaign={campaign} batches={found} />}</Loaded>
      </section>
      <section aria-label="Batches">
        <Title order={2} mb="sm">
          Batches
        </Title>
        <Loaded query={batches}>{(found) => <BatchTable campaign={campaign} batches={found} />}</Loaded>
      </section>
      <AuditPanel campaign={campaign.campaign} batches={campaign.batches} token={campaign.token} />
      <Facts campaign={campaign} />
    </Stack>
  );
}

function Figures({ campaign }: { campaign: CampaignDetail }) {
  const start = campaign.measured_ppm ?? campaign.claimed_ppm;
  const best = campaign.best_ppm ?? start;
  const earned = BigInt(campaign.paid);
  const metric = campaign.metric === "r2" ? "R²" : "Accuracy";
  const measured = campaign.measured_ppm !== null;
  return (
    <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="lg">
      <Figure
        label={measured ? metric : `${metric} claimed`}
        note={`${measured ? `${formatPpm(start)} at the start, ` : ""}${formatPpm(campaign.target_ppm)} wanted`}
      >
        {formatPpm(best)}
      </Figure>
      <Figure
        label="Paid to mines"
        note={`${formatPercent(earned, BigInt(campaign.bounty) - BigInt(campaign.fee))} of what mines can earn`}
      >
        <Amount value={campaign.paid} token={campaign.token} digits={4} />
      </Figure>
      <Figure
        label={isOver(campaign) ? "Returned" : "Bounty left"}
        note={
          <>
            of <Amount value={campaign.bounty} token={campaign.token} digits={4} />
          </>
        }
      >
        <Amount value={isOver(campaign) ? campaign.refunded : campaign.unspent} token={campaign.token} digits={4} />
      </Figure>
      <Figure
        label={isOver(campaign) ? "Ended" : "Deadline"}
        note={`${count(campaign.mines, "mine")}, ${formatCount(campaign.gradients)} of ${formatCount(campaign.max_gradients)} gradients`}
      >
        <When at={isOver(campaign) ? (campaign.ended_at ?? campaign.updated_at) : campaign.deadline} />
      </Figure>
    </SimpleGrid>
  );
}
