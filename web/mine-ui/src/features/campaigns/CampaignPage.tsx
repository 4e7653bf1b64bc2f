import { Group, SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { formatPpm } from "@openmined/shared/format";
import { Empty, Figure, Hash, Loaded, When } from "@openmined/shared/ui";
import { type Campaign, type Decision, useCampaigns, useDecisions } from "../../shared/api";
import { Mark } from "../../shared/Mark";
import { Amount, ETHER } from "../../shared/money";
import { Page, Section } from "../../shared/Page";
import { capitalised, count, phaseMark, reasonOf, seconds, titleOf, VERDICTS } from "../../shared/words";
import { Answer } from "./Answer";
import { Gradients } from "./Gradients";

export default function CampaignPage({ number }: { number: number }) {
  const campaigns = useCampaigns();
  return <Loaded query={campaigns}>{(found) => <Found campaign={found.find((campaign) => campaign.campaign === number)} />}</Loaded>;
}

function Found({ campaign }: { campaign: Campaign | undefined }) {
  const decisions = useDecisions(true);
  const standing = useDecisions();
  if (!campaign) {
    return (
      <Page title="Unknown campaign">
        <Empty title="The mine has seen no campaign of that number">
          It may be on another network, or the mine has not read that far yet.
        </Empty>
      </Page>
    );
  }
  const about = (found: readonly Decision[]) => found.filter((decision) => decision.campaign === campaign.campaign);
  const title = titleOf(about(decisions.data ?? []).find((decision) => decision.title)?.title, campaign.campaign);
  return (
    <Page
      title={title}
      text={
        <Group gap="md" mt="xs">
          <Mark mark={phaseMark(campaign.phase)} />
          <span>
            No. {campaign.campaign}, by <Hash text={campaign.data_scientist} label="the data scientist’s address" />
          </span>
        </Group>
      }
    >
      <Figures campaign={campaign} />
      <Section title="Decided">
        <Loaded query={standing}>{(found) => <Standing decisions={about(found)} campaign={campaign} />}</Loaded>
      </Section>
      <Section title="Your gradients">
        <Gradients campaign={campaign} />
      </Section>
      <Section title="Every decision, the newest first">
        <Loaded query={decisions}>{(found) => <History decisions={about(found)} />}</Loaded>
      </Section>
    </Page>
  );
}

function Figures({ campaign }: { campaign: Campaign }) {
  const earned = campaign.submissions.reduce((sum, work) => sum + BigInt(work.payout_wei ?? "0"), 0n);
  return (
    <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="lg" component="section" aria-label="Figures">
      <Figure label="Accuracy" note={`${formatPpm(campaign.start_ppm)} at the start, ${formatPpm(campaign.target_ppm)} wanted`}>
        {formatPpm(campaign.best_ppm || campaign.start_ppm)}
      </Figure>
      <Figure label="You earned" note={count(campaign.submissions.length, "gradient")}>
        <Amount value={earned} token={campaign.token} digits={5} />
      </Figure>
      <Figure
        label="Bounty for mines"
        note={
          <>
            at stake for each gradient: <Amount value={campaign.bond_wei} token={campaign.token || ETHER} />
          </>
        }
      >
        <Amount value={campaign.bounty_wei} token={campaign.token} digits={4} />
      </Figure>
      <Figure
        label="Deadline"
        note={
          <>
            scored by Capsule <Hash text={campaign.capsule} label="the capsule’s address" />
          </>
        }
      >
        <When at={campaign.deadline} />
      </Figure>
    </SimpleGrid>
  );
}

function Standing({ decisions, campaign }: { decisions: readonly Decision[]; campaign: Campaign }) {
  if (decisions.length === 0) return <Empty title="Nothing was decided">The mine decides when a campaign opens.</Empty>;
  return (
    <Stack gap="md">
      {decisions.map((decision) => (
        <Group key={decision.id} justify="space-between" align="start" gap="sm">
          <div style={{ flex: "1 1 18rem", minWidth: 0 }}>
            <Group gap="sm">
              <Mark mark={VERDICTS[decision.verdict]} />
              <Text fw={600} className="om-breaks">
                {decision.dataset === "*" ? "The whole campaign" : decision.dataset}
              </Text>
              <Text size="sm" className="om-muted" component="div">
                <When at={seconds(decision.at)} />
              </Text>
            </Group>
            <Text size="sm" className="om-breaks" mt={4}>
              {capitalised(reasonOf(decision))}
            </Text>
          </div>
          <Answer decision={decision} campaign={campaign} />
        </Group>
      ))}
    </Stack>
  );
}

function History({ decisions }: { decisions: readonly Decision[] }) {
  if (decisions.length === 0) return <Empty title="Nothing was decided" />;
  return (
    <Table.ScrollContainer minWidth={560} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Decisions, scrollable" } }}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={150}>When</Table.Th>
            <Table.Th w={140}>Dataset</Table.Th>
            <Table.Th w={110}>Decision</Table.Th>
            <Table.Th>Reason</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {decisions.slice(0, 200).map((decision) => (
            <Table.Tr key={decision.id}>
              <Table.Td>
                <When at={seconds(decision.at)} />
              </Table.Td>
              <Table.Td>{decision.dataset === "*" ? "all" : decision.dataset}</Table.Td>
              <Table.Td>{VERDICTS[decision.verdict].label}</Table.Td>
              <Table.Td className="om-breaks">{capitalised(reasonOf(decision))}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
