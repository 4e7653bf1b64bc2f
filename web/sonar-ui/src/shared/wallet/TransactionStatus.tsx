import { Alert, Group, Loader, Text } from "@mantine/core";
import { explorerLink, Failure, Hash } from "@openmined/shared/ui";
import { useNetwork } from "../api";
import type { Stage } from "./transact";
import type { Progress } from "./useTransaction";

const STAGES: Readonly<Record<Stage, string>> = {
  network: "Seeing that the wallet is on the right network. It may ask you to switch.",
  checking: "Trying the transaction without sending it.",
  approving: "Allow the contract, in the wallet, to take the tokens: as many as you pay, and no more.",
  allowing: "The allowance was sent. Waiting for a block to take it in; then the wallet asks again.",
  signing: "Look at the transaction in the wallet and sign it.",
  waiting: "Sent. Waiting for a block to take it in.",
};

interface Props {
  readonly progress: Progress | undefined;
  readonly error: unknown;
  readonly done?: string | undefined;
}

/** A transaction: a link where its chain has an explorer, and in any case to be copied. */
export function Transaction({ hash }: { hash: string }) {
  const chain = useNetwork().data?.chain_id;
  return <Hash text={hash} href={explorerLink(chain, "tx", hash)} label="the transaction's hash" />;
}

/** Where a transaction is, read out to screen readers as it moves. */
export function TransactionStatus({ progress, error, done }: Props) {
  return (
    <div aria-live="polite">
      {progress && (
        <Group gap="sm" wrap="nowrap">
          <Loader size="xs" aria-hidden />
          <Text size="sm" component="div">
            {STAGES[progress.stage]} {progress.hash && <Transaction hash={progress.hash} />}
          </Text>
        </Group>
      )}
      {!progress && error != null && <Failure error={error} />}
      {!progress && error == null && done && (
        <Alert color="teal" variant="light" title="Done">
          {done}
        </Alert>
      )}
    </div>
  );
}
