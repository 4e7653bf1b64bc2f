import { Table, Text } from "@mantine/core";
import { formatCount, formatPpm } from "@openmined/shared/format";
import { Empty, When } from "@openmined/shared/ui";
import type { Campaign, Submission } from "../../shared/api";
import { Mark } from "../../shared/Mark";
import { Amount, Transaction } from "../../shared/money";
import { clip, outcomeOf, seconds } from "../../shared/words";

/** This mine's gradients for a campaign, with what became of each. */
export function Gradients({ campaign }: { campaign: Campaign }) {
  if (campaign.submissions.length === 0)
    return <Empty title="You have sent no gradient">One is computed for each version of the model, if a permission allows it.</Empty>;
  return (
    <Table.ScrollContainer minWidth={820} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Gradients, scrollable" } }}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Model version</Table.Th>
            <Table.Th>Outcome</Table.Th>
            <Table.Th>Trained on</Table.Th>
            <Table.Th ta="right">Share of its batch</Table.Th>
            <Table.Th ta="right">Earned</Table.Th>
            <Table.Th ta="right">Bond back</Table.Th>
            <Table.Th>When</Table.Th>
            <Table.Th>Transaction</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {campaign.submissions.toReversed().map((work) => (
            <Row key={work.version} work={work} token={campaign.token} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Row({ work, token }: { work: Submission; token: string }) {
  return (
    <Table.Tr>
      <Table.Td>{work.version}</Table.Td>
      <Table.Td>
        <Mark mark={outcomeOf(work)} />
        {work.step === "failed" && work.problem && (
          <Text size="sm" className="om-muted om-breaks" maw={320}>
            {clip(work.problem, 300)}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        {work.datasets.join(", ") || "–"}
        {work.samples !== null && <span className="om-muted">, {formatCount(work.samples)} rows</span>}
      </Table.Td>
      <Table.Td ta="right">{work.share_ppm === null ? "–" : formatPpm(work.share_ppm)}</Table.Td>
      <Table.Td ta="right">{work.payout_wei === null ? "–" : <Amount value={work.payout_wei} token={token} digits={5} />}</Table.Td>
      <Table.Td ta="right">{work.bond_returned_wei === null ? "–" : <Amount value={work.bond_returned_wei} token={token} />}</Table.Td>
      <Table.Td>
        <When at={seconds(work.at)} />
      </Table.Td>
      <Table.Td>{work.tx ? <Transaction tx={work.tx} /> : "–"}</Table.Td>
    </Table.Tr>
  );
}
