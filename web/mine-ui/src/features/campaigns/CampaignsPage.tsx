import { Anchor, Group, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { formatPpm } from "@openmined/shared/format";
import { Empty, Loaded, When } from "@openmined/shared/ui";
import { useState } from "react";
import { Link } from "wouter";
import { type Campaign, type Decision, useCampaigns, useDecisions } from "../../shared/api";
import { Mark } from "../../shared/Mark";
import { Amount } from "../../shared/money";
import { Page, Section } from "../../shared/Page";
import { WaitingDecisions } from "../../shared/WaitingDecisions";
import { count, phaseMark, reasonOf, titleOf, VERDICTS } from "../../shared/words";
import "../../shared/row.css";

const FILTERS = [
  { value: "", label: "All decisions" },
  { value: "accept", label: "Takes part" },
  { value: "ask", label: "Asks you" },
  { value: "wait", label: "Waits" },
  { value: "refuse", label: "Refused" },
];
const MOST = 50;

export default function CampaignsPage() {
  const campaigns = useCampaigns();
  return (
    <Page title="Campaigns" text="What data scientists ask for and pay, whether your mine takes part, and why.">
      <Section title="Waiting for you">
        <WaitingDecisions />
      </Section>
      <Section title="Seen">
        <Loaded query={campaigns}>
          {(found) =>
            found.length === 0 ? (
              <Empty title="No campaign was seen yet">
                The mine looks at the chain every few seconds; campaigns appear here as they are launched.
              </Empty>
            ) : (
              <List campaigns={found} />
            )
          }
        </Loaded>
      </Section>
    </Page>
  );
}

function List({ campaigns }: { campaigns: readonly Campaign[] }) {
  const decisions = useDecisions().data ?? [];
  const [words, setWords] = useState("");
  const [verdict, setVerdict] = useState("");
  const [most, setMost] = useState(MOST);
  const rows = campaigns
    .map((campaign) => ({ campaign, about: decisions.filter((decision) => decision.campaign === campaign.campaign) }))
    .filter(
      ({ campaign, about }) =>
        (verdict === "" || about.some((decision) => decision.verdict === verdict)) &&
        nameOf(campaign, about).toLowerCase().includes(words.toLowerCase().trim()),
    );
  return (
    <Stack gap="md">
      <Group align="end" gap="sm" role="search">
        <TextInput
          label="Search"
          placeholder="Words of the title"
          value={words}
          maxLength={200}
          onChange={(event) => setWords(event.currentTarget.value)}
          style={{ flex: "1 1 14rem" }}
        />
        <NativeSelect label="Decision" data={FILTERS} value={verdict} onChange={(event) => setVerdict(event.currentTarget.value)} />
      </Group>
      {rows.length === 0 && <Empty title="No campaign matches">Use fewer words, or another decision.</Empty>}
      <Stack gap={0}>
        {rows.slice(0, most).map(({ campaign, about }) => (
          <Row key={campaign.campaign} campaign={campaign} decisions={about} />
        ))}
      </Stack>
      {rows.length > most && (
        <Anchor component="button" type="button" onClick={() => setMost(most + MOST)}>
          Show {count(Math.min(MOST, rows.length - most), "more", "more")}
        </Anchor>
      )}
    </Stack>
  );
}

function nameOf(campaign: Campaign, about: readonly Decision[]): string {
  return titleOf(about.find((decision) => decision.title)?.title, campaign.campaign);
}

function Row({ campaign, decisions }: { campaign: Campaign; decisions: readonly Decision[] }) {
  const over = !["launched", "open"].includes(campaign.phase);
  return (
    <article className="om-row campaign-row">
      <div className="om-row-title">
        <Anchor component={Link} href={`/campaigns/${campaign.campaign}`} fw={600} className="om-breaks" lineClamp={2}>
          {nameOf(campaign, decisions)}
        </Anchor>
        <Text size="sm" className="om-muted">
          No. {campaign.campaign} · {count(campaign.submissions.length, "gradient")} of yours
        </Text>
      </div>
      <Mark mark={phaseMark(campaign.phase)} />
      <Text size="sm" component="div">
        {formatPpm(campaign.best_ppm || campaign.start_ppm)} <span className="om-muted">of {formatPpm(campaign.target_ppm)}</span>
      </Text>
      <Text size="sm" component="div">
        <Amount value={campaign.bounty_wei} token={campaign.token} digits={4} />
        <div className="om-muted">
          {over ? "for mines, ended; deadline " : "for mines, deadline "}
          <When at={campaign.deadline} />
        </div>
      </Text>
      <div className="om-row-wide">
        <Verdicts decisions={decisions} />
      </div>
    </article>
  );
}

function Verdicts({ decisions }: { decisions: readonly Decision[] }) {
  if (decisions.length === 0)
    return (
      <Text size="sm" className="om-muted">
        Nothing had to be decided: it was not open.
      </Text>
    );
  return (
    <Stack gap={4}>
      {decisions.slice(0, 3).map((decision) => (
        <Text key={decision.id} size="sm" className="om-breaks" lineClamp={3}>
          <b>{VERDICTS[decision.verdict].label}</b>
          {decision.dataset !== "*" && ` (${decision.dataset})`}: {reasonOf(decision)}
        </Text>
      ))}
      {decisions.length > 3 && (
        <Text size="sm" className="om-muted">
          and {count(decisions.length - 3, "decision")} more
        </Text>
      )}
    </Stack>
  );
}
