import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { TransactionStatus } from "../../../shared/wallet/TransactionStatus";
import type { Call } from "../../../shared/wallet/transact";
import { useTransaction } from "../../../shared/wallet/useTransaction";
import { WalletChoice } from "../../../shared/wallet/WalletButton";
import { useWallet } from "../../../shared/wallet/WalletProvider";

interface Props {
  readonly label: string;
  readonly call: Call;
  readonly args: readonly unknown[];
  readonly question: string;
  readonly done: string;
}

/** A button that says what it will do before the wallet is asked. */
export function SimpleAction({ label, call, args, question, done }: Props) {
  const [opened, { open, close }] = useDisclosure();
  const { wallet } = useWallet();
  const transaction = useTransaction();
  return (
    <>
      <Button variant="default" onClick={open}>
        {label}
      </Button>
      <Modal opened={opened} onClose={close} title={label} closeButtonProps={{ "aria-label": "Close" }}>
        <Stack>
          <Text size="sm">{question}</Text>
          {wallet ? (
            <Group justify="end">
              <Button disabled={transaction.isSuccess} loading={transaction.isPending} onClick={() => transaction.mutate({ call, args })}>
                {label}
              </Button>
            </Group>
          ) : (
            <WalletChoice />
          )}
          <TransactionStatus progress={transaction.progress} error={transaction.error} done={transaction.isSuccess ? done : undefined} />
        </Stack>
      </Modal>
    </>
  );
}
