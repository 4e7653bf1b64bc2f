import { Anchor, SimpleGrid, Stack, Table } from "@mantine/core";
import { formatCount } from "@openmined/shared/format";
import { Empty, Figure, Loaded, When } from "@openmined/shared/ui";
import { Link } from "wouter";
import { type Earnings, type Submission, useCampaigns, useDecisions, useEarnings, useWithdrawals, type Withdrawal } from "../../shared/api";
import { Mark } from "../../shared/Mark";
import { Amount, ETHER, Transaction } from "../../shared/money";
import { Page, Section } from "../../shared/Page";
import { clip, outcomeOf, seconds, titleOf } from "../../shared/words";
import { Withdraw } from "./Withdraw";

export default function EarningsPage() {
  const earnings = useEarnings();
  const withdrawals = useWithdrawals();
  return (
    <Page title="Earnings" text="What the contract on the chain owes and paid for your gradients.">
      <Loaded query={earnings}>{(found) => <Sums earnings={found} withdrawals={withdrawals.data ?? []} />}</Loaded>
      <Section title="By campaign">
        <Loaded query={earnings}>{(found) => <ByCampaign earnings={found} />}</Loaded>
      </Section>
      <Section title="Payments, the newest first">
        <Payments />
      </Section>
      <Section title="Withdrawals">
        <Loaded query={withdrawals}>{(found) => <Withdrawals withdrawals={found} />}</Loaded>
      </Section>
    </Page>
  );
}

function Sums({ earnings, withdrawals }: { earnings: Earnings; withdrawals: readonly Withdrawal[] }) {
  const tokens = new Set([...earnings.tokens.map((sum) => sum.token.toLowerCase()), ...Object.keys(earnings.withdrawable_wei), ETHER]);
  return (
    <Stack gap="xl">
      {[...tokens].toSorted().map((token) => {
        const sum = earnings.tokens.find((found) => found.token.toLowerCase() === token);
        const owed = earnings.withdrawable_wei[token] ?? "0";
        return (
          <Stack key={token} gap="md" component="section" aria-label={token === ETHER ? "ETH" : `Token ${token}`}>
            <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="lg">
              <Figure label="Earned" note="by gradients that were scored">
                <Amount value={sum?.earned_wei ?? "0"} token={token} />
              </Figure>
              <Figure label="To be withdrawn" note="payouts, and bonds that came back">
                <Amount value={owed} token={token} />
              </Figure>
              <Figure label="Bonds at stake" note="of gradients not scored yet">
                <Amount value={sum?.bonds_at_stake_wei ?? "0"} token={token} />
              </Figure>
              <Figure label="Bonds lost" note="to gradients found harmful or wrong">
                <Amount value={sum?.bonds_lost_wei ?? "0"} token={token} />
              </Figure>
            </SimpleGrid>
            <Withdraw token={token} owed={BigInt(owed)} withdrawals={withdrawals} />
          </Stack>
        );
      })}
    </Stack>
  );
}

function useTitles(): (campaign: number) => string {
  const decisions = useDecisions().data ?? [];
  return (campaign) => titleOf(decisions.find((decision) => decision.campaign === campaign && decision.title)?.title, campaign);
}

function ByCampaign({ earnings }: { earnings: Earnings }) {
  const title = useTitles();
  if (earnings.campaigns.length === 0)
    return <Empty title="Nothing was earned yet">A campaign is here as soon as the mine has sent it a gradient.</Empty>;
  return (
    <Table.ScrollContainer
      minWidth={520}
      scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Earnings by campaign, scrollable" } }}
    >
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Campaign</Table.Th>
            <Table.Th ta="right">Earned</Table.Th>
            <Table.Th ta="right">Gradients</Table.Th>
            <Table.Th ta="right">Paid</Table.Th>
            <Table.Th ta="right">Rejected</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {earnings.campaigns.toReversed().map((sum) => (
            <Table.Tr key={sum.campaign}>
              <Table.Td className="om-breaks">
                <Anchor component={Link} href={`/campaigns/${sum.campaign}`} size="sm" lineClamp={2}>
                  {title(sum.campaign)}
                </Anchor>
              </Table.Td>
              <Table.Td ta="right">
                <Amount value={sum.earned_wei} token={sum.token} />
              </Table.Td>
              <Table.Td ta="right">{formatCount(sum.gradients)}</Table.Td>
              <Table.Td ta="right">{formatCount(sum.paid)}</Table.Td>
              <Table.Td ta="right">{formatCount(sum.rejected)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Payments() {
  const campaigns = useCampaigns();
  return (
    <Loaded query={campaigns}>
      {(found) => {
        const rows = found.flatMap((campaign) =>
          campaign.submissions.filter((work) => work.gradient !== null).map((work) => ({ work, token: campaign.token })),
        );
        rows.sort((a, b) => b.work.at.localeCompare(a.work.at));
        return rows.length === 0 ? (
          <Empty title="No gradient was sent yet">Each one is here with its transaction and what it brought.</Empty>
        ) : (
          <PaymentTable rows={rows.slice(0, 100)} />
        );
      }}
    </Loaded>
  );
}

function PaymentTable({ rows }: { rows: readonly { work: Submission; token: string }[] }) {
  return (
    <Table.ScrollContainer minWidth={620} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Payments, scrollable" } }}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>When</Table.Th>
            <Table.Th ta="right">Earned</Table.Th>
            <Table.Th>Outcome</Table.Th>
            <Table.Th>Gradient</Table.Th>
            <Table.Th>Submitted in</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(({ work, token }) => (
            <Table.Tr key={`${work.campaign}-${work.version}`}>
              <Table.Td>
                <When at={seconds(work.at)} />
              </Table.Td>
              <Table.Td ta="right">{work.payout_wei === null ? "–" : <Amount value={work.payout_wei} token={token} />}</Table.Td>
              <Table.Td>
                <Mark mark={outcomeOf(work)} />
              </Table.Td>
              <Table.Td>
                {work.gradient}, campaign {work.campaign}
              </Table.Td>
              <Table.Td>{work.tx ? <Transaction tx={work.tx} /> : "–"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

const STATES = {
  asked: { label: "Asked for", color: "blue" },
  sending: { label: "Being sent", color: "blue" },
  done: { label: "Done", color: "teal" },
  failed: { label: "Failed", color: "red" },
} as const;

function Withdrawals({ withdrawals }: { withdrawals: readonly Withdrawal[] }) {
  if (withdrawals.length === 0)
    return <Empty title="Nothing was withdrawn yet">What is owed to you stays on the contract until you fetch it.</Empty>;
  return (
    <Table.ScrollContainer minWidth={520} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Withdrawals, scrollable" } }}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Asked</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th ta="right">Amount</Table.Th>
            <Table.Th>Transaction</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {withdrawals.slice(0, 100).map((withdrawal) => (
            <Table.Tr key={withdrawal.id}>
              <Table.Td>
                <When at={seconds(withdrawal.at)} />
              </Table.Td>
              <Table.Td>
                <Mark mark={STATES[withdrawal.state]} />
                {withdrawal.problem && <div className="om-muted om-breaks">{clip(withdrawal.problem, 300)}</div>}
              </Table.Td>
              <Table.Td ta="right">
                {withdrawal.amount_wei === null ? "–" : <Amount value={withdrawal.amount_wei} token={withdrawal.token} />}
              </Table.Td>
              <Table.Td>{withdrawal.tx ? <Transaction tx={withdrawal.tx} /> : "–"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
