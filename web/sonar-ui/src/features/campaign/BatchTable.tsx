import { Anchor, Table, Text, UnstyledButton } from "@mantine/core";
import { formatPoints, formatPpm } from "@openmined/shared/format";
import { REASONS } from "@openmined/shared/protocol/names";
import { Empty, Hash, When } from "@openmined/shared/ui";
import { Fragment, useState } from "react";
import { Amount } from "../../shared/amounts";
import { type Batch, type CampaignDetail, type Gradient, useNetwork } from "../../shared/api";
import { count, isOver } from "../../shared/campaign";
import { cidLink } from "../../shared/links";
import "./shares.css";

export function BatchTable({ campaign, batches }: { campaign: CampaignDetail; batches: readonly Batch[] }) {
  const [open, setOpen] = useState<number>();
  if (batches.length === 0 && isOver(campaign)) return <Empty title="Nothing was scored">The campaign ended before the first batch.</Empty>;
  if (batches.length === 0) {
    return (
      <Empty title="Nothing was scored yet">
        Capsule scores gradients in batches; each one will be here with its mines and their shares.
      </Empty>
    );
  }
  return (
    <Table.ScrollContainer minWidth={640} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Batches, scrollable" } }}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Batch</Table.Th>
            <Table.Th>Scored</Table.Th>
            <Table.Th ta="right">Accuracy</Table.Th>
            <Table.Th ta="right">Gain</Table.Th>
            <Table.Th ta="right">Paid</Table.Th>
            <Table.Th>Gradients</Table.Th>
            <Table.Th>Receipt</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {batches.map((batch) => (
            <Fragment key={batch.batch}>
              <BatchRow
                batch={batch}
                campaign={campaign}
                open={open === batch.batch}
                toggle={() => setOpen(open === batch.batch ? undefined : batch.batch)}
              />
              {open === batch.batch && (
                <Table.Tr>
                  <Table.Td colSpan={7} id={`batch-${batch.batch}`}>
                    <Shares gradients={batch.gradients} token={campaign.token} />
                  </Table.Td>
                </Table.Tr>
              )}
            </Fragment>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function BatchRow({ batch, campaign, open, toggle }: { batch: Batch; campaign: CampaignDetail; open: boolean; toggle: () => void }) {
  const store = useNetwork().data?.gateway_url;
  const receipt = cidLink(batch.receipt, store);
  return (
    <Table.Tr>
      <Table.Td>{batch.batch}</Table.Td>
      <Table.Td style={{ whiteSpace: "nowrap" }}>
        <When at={batch.scored_at} />
      </Table.Td>
      <Table.Td ta="right">{formatPpm(batch.best_ppm)}</Table.Td>
      <Table.Td ta="right">{formatPoints(batch.best_ppm - batch.before_ppm)}</Table.Td>
      <Table.Td ta="right">
        <Amount value={batch.paid} token={campaign.token} digits={5} />
      </Table.Td>
      <Table.Td>
        <UnstyledButton onClick={toggle} aria-expanded={open} aria-controls={`batch-${batch.batch}`}>
          <Anchor component="span" size="sm">
            {open ? "Hide" : "Show"} {count(batch.gradients.length, "gradient")}
          </Anchor>
        </UnstyledButton>
      </Table.Td>
      <Table.Td>
        <Hash text={receipt.cid} href={receipt.href} label="the receipt's CID" />
      </Table.Td>
    </Table.Tr>
  );
}

function Shares({ gradients, token }: { gradients: readonly Gradient[]; token: string }) {
  return (
    <ul className="shares">
      {gradients.map((gradient) => (
        <li key={gradient.gradient}>
          <Text size="sm" component="div">
            Gradient {gradient.gradient} of mine <Hash text={gradient.miner} label="the mine's address" /> has a share of{" "}
            {formatPpm(gradient.share_ppm, 2)}, <Amount value={gradient.payout} token={token} />
            {gradient.reason !== 0 && ` – rejected, ${REASONS[gradient.reason] ?? `reason ${gradient.reason}`}`}
          </Text>
        </li>
      ))}
    </ul>
  );
}
