import { Alert, Button, Group, Stack, Table, Text, Title } from "@mantine/core";
import { formatPpm } from "@openmined/shared/format";
import type { AuditReport } from "@openmined/shared/sonar";
import { Failure, Hash } from "@openmined/shared/ui";
import { useMutation } from "@tanstack/react-query";
import { Amount } from "../../../shared/amounts";
import { useNetwork } from "../../../shared/api";
import { count } from "../../../shared/campaign";
import { useWallet } from "../../../shared/wallet/WalletProvider";

/** Recomputes every payout here, in this browser: the figures above are not used. */
export function AuditPanel({ campaign, batches, token }: { campaign: number; batches: number; token: string }) {
  const network = useNetwork().data;
  const { wallet } = useWallet();
  const audit = useMutation({
    mutationFn: async () => {
      if (!network) throw new Error("the network is not known yet");
      const { runAudit } = await import("./runAudit");
      return runAudit(network, campaign, wallet?.chainId === network.chain_id ? wallet.provider : undefined);
    },
  });
  return (
    <section aria-label="Audit">
      <Group justify="space-between" align="start">
        <div style={{ flex: "1 1 20rem" }}>
          <Title order={2}>Audit</Title>
          <Text size="sm" className="om-muted" maw={640}>
            Reads the campaign’s events from a node of the chain and its receipts from the store, checks each receipt against the digest on
            chain, and computes every payout again in this browser.
          </Text>
        </div>
        <Button variant="default" loading={audit.isPending} disabled={!network} onClick={() => audit.mutate()}>
          {batches > 0 ? "Recompute the payouts" : "Check the campaign"}
        </Button>
      </Group>
      <Stack mt="md" aria-live="polite">
        {audit.isError && <Failure error={audit.error} />}
        {audit.data && <Report report={audit.data} token={token} />}
      </Stack>
    </section>
  );
}

function Report({ report, token }: { report: AuditReport; token: string }) {
  const read = `${count(report.receipts, "receipt")} read and verified`;
  return (
    <>
      {report.ok ? (
        <Alert color="teal" variant="light" title="Everything follows from what was published">
          {count(report.payouts.length, "payout")} of {report.batches === 1 ? "1 batch" : `${report.batches} batches`},{" "}
          <Amount value={report.paid} token={token} /> in all; {read}.
        </Alert>
      ) : (
        <Alert color="red" variant="light" title={`${count(report.findings.length, "finding")}: this does not follow`}>
          <ul style={{ margin: 0, paddingLeft: "1.2rem" }}>
            {report.findings.map((finding) => (
              <li key={`${finding.batch} ${finding.text}`} className="om-breaks">
                {finding.batch === undefined ? "" : `Batch ${finding.batch}: `}
                {finding.text}
              </li>
            ))}
          </ul>
        </Alert>
      )}
      {report.payouts.length > 0 && <Payouts report={report} token={token} />}
    </>
  );
}

function Payouts({ report, token }: { report: AuditReport; token: string }) {
  return (
    <Table.ScrollContainer minWidth={620} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Payouts, scrollable" } }}>
      <Table verticalSpacing={6}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Batch</Table.Th>
            <Table.Th>Gradient</Table.Th>
            <Table.Th>Mine</Table.Th>
            <Table.Th ta="right">Share</Table.Th>
            <Table.Th ta="right">Paid</Table.Th>
            <Table.Th ta="right">Recomputed</Table.Th>
            <Table.Th>Follows</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {report.payouts.map((payout) => (
            <Table.Tr key={`${payout.batch} ${payout.gradient}`}>
              <Table.Td>{String(payout.batch)}</Table.Td>
              <Table.Td>{String(payout.gradient)}</Table.Td>
              <Table.Td>
                <Hash text={payout.miner} label="the mine's address" />
              </Table.Td>
              <Table.Td ta="right">{formatPpm(Number(payout.sharePpm), 2)}</Table.Td>
              <Table.Td ta="right">
                <Amount value={payout.paid} token={token} />
              </Table.Td>
              <Table.Td ta="right">
                <Amount value={payout.expected} token={token} />
              </Table.Td>
              <Table.Td>{payout.paid === payout.expected ? "yes" : "NO"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
