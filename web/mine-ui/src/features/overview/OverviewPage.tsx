import { Anchor, SimpleGrid } from "@mantine/core";
import { formatCount } from "@openmined/shared/format";
import { Empty, Figure, Hash, Loaded } from "@openmined/shared/ui";
import { Link } from "wouter";
import { type Earnings, type Status, useDatasets, useEarnings, useStatus } from "../../shared/api";
import { Amount, ETHER, isEth } from "../../shared/money";
import { Page, Section } from "../../shared/Page";
import { WaitingDecisions } from "../../shared/WaitingDecisions";
import { count } from "../../shared/words";
import { Now, Recent } from "./Now";

export function OverviewPage() {
  const status = useStatus();
  const earnings = useEarnings();
  return (
    <Page
      title={status.data?.name ?? "Your mine"}
      text={
        status.data && (
          <>
            {status.data.network}, account <Hash text={status.data.address} label="the mine’s address" />
          </>
        )
      }
    >
      <Loaded query={earnings} lines={2}>
        {(found) => <Figures earnings={found} status={status.data} />}
      </Loaded>
      <FirstSteps />
      <Section title="Now">
        <Now />
      </Section>
      <Section title="Waiting for you">
        <WaitingDecisions />
      </Section>
      <Section title="Lately">
        <Recent />
      </Section>
    </Page>
  );
}

function Figures({ earnings, status }: { earnings: Earnings; status: Status | undefined }) {
  const ether = earnings.tokens.find((sum) => isEth(sum.token));
  const others = earnings.tokens.filter((sum) => !isEth(sum.token)).length;
  const gradients = earnings.campaigns.reduce((sum, campaign) => sum + campaign.gradients, 0);
  const paid = earnings.campaigns.reduce((sum, campaign) => sum + campaign.paid, 0);
  const phases = status?.campaigns ?? {};
  const seen = Object.values(phases).reduce((sum, number) => sum + number, 0);
  return (
    <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="lg" component="section" aria-label="Figures">
      <Figure label="Earned" note={others > 0 ? `and in ${count(others, "other token")}` : undefined}>
        <Amount value={ether?.earned_wei ?? "0"} digits={4} />
      </Figure>
      <Figure
        label="To be withdrawn"
        note={
          <Anchor component={Link} href="/earnings">
            Earnings
          </Anchor>
        }
      >
        <Amount value={earnings.withdrawable_wei[ETHER] ?? "0"} digits={4} />
      </Figure>
      <Figure label="Gradients submitted" note={`${formatCount(paid)} paid`}>
        {formatCount(gradients)}
      </Figure>
      <Figure label="Campaigns seen" note={`${phases.open ?? 0} open now`}>
        {formatCount(seen)}
      </Figure>
    </SimpleGrid>
  );
}

/** What is missing before a mine can earn, if anything is. */
function FirstSteps() {
  const datasets = useDatasets().data;
  if (!datasets) return null;
  if (datasets.length === 0) {
    return (
      <Empty title="There is no data here yet">
        Campaigns send your mine an encrypted model. It trains the model on your rows, here, and earns for what it sends back: a gradient,
        the encrypted change. The rows never leave this machine. To begin,{" "}
        <Anchor component={Link} href="/data/import" underline="always">
          import a file
        </Anchor>
        .
      </Empty>
    );
  }
  if (datasets.some((dataset) => dataset.permission.mode !== "deny")) return null;
  return (
    <Empty title="No campaign may use your data yet">
      Everything is denied until you allow it:{" "}
      <Anchor component={Link} href="/permissions" underline="always">
        set permissions
      </Anchor>
      .
    </Empty>
  );
}
