import { Anchor, Button, Group, NativeSelect, SimpleGrid, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue, useDocumentTitle } from "@mantine/hooks";
import { formatCount } from "@openmined/shared/format";
import { Empty, Figure, Loaded } from "@openmined/shared/ui";
import { useState } from "react";
import { Link } from "wouter";
import { Amount, isEth } from "../../shared/amounts";
import { type CampaignFilter, type Totals, useCampaigns, useTotals } from "../../shared/api";
import { count } from "../../shared/campaign";
import { CampaignRow } from "./CampaignRow";

const ETH_TOKEN = `0x${"0".repeat(40)}`;

export function CampaignsPage() {
  useDocumentTitle("Campaigns · Sonar");
  const totals = useTotals();
  return (
    <Stack gap="xl">
      <Group justify="space-between" align="end">
        <div style={{ flex: "1 1 18rem" }}>
          <Title order={1}>Campaigns</Title>
          <Text className="om-muted" maw={640}>
            Models being trained on data that nobody hands over. Mines train a campaign’s encrypted model on rows they keep, Capsule scores
            what they send, and a contract pays them for the accuracy they add.
          </Text>
        </div>
        <Button component={Link} href="/launch">
          Launch a campaign
        </Button>
      </Group>
      <Loaded query={totals} lines={2}>
        {(found) => <TotalsStrip totals={found} />}
      </Loaded>
      <CampaignList />
    </Stack>
  );
}

function TotalsStrip({ totals }: { totals: Totals }) {
  const { counts, phases } = totals;
  const none = { token: ETH_TOKEN, paid: "0", deposited: "0" };
  const first = totals.money.find(({ token }) => isEth(token)) ?? totals.money[0] ?? none;
  const others = totals.money.length - 1;
  return (
    <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="lg" component="section" aria-label="Totals of the network">
      <Figure label="Campaigns" note={`${phases.open ?? 0} open now`}>
        {formatCount(counts.campaigns_launched)}
      </Figure>
      <Figure
        label="Paid to mines"
        note={
          <>
            of <Amount value={first.deposited} token={first.token} digits={4} /> deposited
            {others > 0 && `, and in ${count(others, "other token")}`}
          </>
        }
      >
        <Amount value={first.paid} token={first.token} digits={4} />
      </Figure>
      <Figure label="Mines that took part">{formatCount(counts.new_mines)}</Figure>
      <Figure label="Gradients" note={`${formatCount(counts.gradients_accepted)} accepted`}>
        {formatCount(counts.gradients_submitted)}
      </Figure>
    </SimpleGrid>
  );
}

const PHASES = [
  { value: "", label: "All phases" },
  { value: "open", label: "Open" },
  { value: "launched", label: "Waiting to open" },
  { value: "delivered", label: "Delivered" },
  { value: "rejected", label: "Rejected" },
  { value: "cancelled", label: "Cancelled" },
  { value: "expired", label: "Expired" },
];
const ORDERS = [
  { value: "newest", label: "Newest first" },
  { value: "activity", label: "Last active first" },
  { value: "bounty", label: "Largest bounty first" },
  { value: "deadline", label: "Nearest deadline first" },
  { value: "gradients", label: "Most gradients first" },
  { value: "oldest", label: "Oldest first" },
];

function CampaignList() {
  const [filter, setFilter] = useState<CampaignFilter>({ q: "", phase: "", sort: "newest" });
  const [wanted] = useDebouncedValue(filter, 250);
  const query = useCampaigns(wanted);
  const change = (part: Partial<CampaignFilter>) => setFilter({ ...filter, ...part });
  return (
    <Stack gap="md" component="section" aria-label="Campaigns">
      <Group align="end" gap="sm" role="search">
        <TextInput
          label="Search"
          placeholder="Words in titles and descriptions"
          value={filter.q}
          maxLength={200}
          onChange={(event) => change({ q: event.currentTarget.value })}
          style={{ flex: "1 1 16rem" }}
        />
        <NativeSelect label="Phase" data={PHASES} value={filter.phase} onChange={(event) => change({ phase: event.currentTarget.value })} />
        <NativeSelect label="Order" data={ORDERS} value={filter.sort} onChange={(event) => change({ sort: event.currentTarget.value })} />
      </Group>
      <CampaignRows query={query} filtered={Boolean(filter.q || filter.phase)} />
    </Stack>
  );
}

function CampaignRows({ query, filtered }: { query: ReturnType<typeof useCampaigns>; filtered: boolean }) {
  return (
    <Loaded query={query}>
      {({ pages }) => {
        const rows = pages.flatMap((page) => page.items);
        if (rows.length === 0) return <NoCampaigns filtered={filtered} />;
        return (
          <Stack gap={0}>
            {rows.map((campaign) => (
              <CampaignRow key={campaign.campaign} campaign={campaign} />
            ))}
            {query.hasNextPage && (
              <Button variant="default" mt="md" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Show more
              </Button>
            )}
          </Stack>
        );
      }}
    </Loaded>
  );
}

function NoCampaigns({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No campaign matches">Use fewer words, or another phase.</Empty>;
  return (
    <Empty title="No campaign was launched yet">
      The first one can be yours:{" "}
      <Anchor component={Link} href="/launch" underline="always">
        launch a campaign
      </Anchor>
      .
    </Empty>
  );
}
