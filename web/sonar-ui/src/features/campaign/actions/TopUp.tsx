import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { parseAmount } from "@openmined/shared/format";
import { useState } from "react";
import { useTokenState } from "../../../shared/amounts";
import type { CampaignDetail } from "../../../shared/api";
import { TransactionStatus } from "../../../shared/wallet/TransactionStatus";
import { useTransaction } from "../../../shared/wallet/useTransaction";
import { WalletChoice } from "../../../shared/wallet/WalletButton";
import { useWallet } from "../../../shared/wallet/WalletProvider";

export function TopUp({ campaign }: { campaign: CampaignDetail }) {
  const [opened, { open, close }] = useDisclosure();
  const [text, setText] = useState("");
  const { wallet } = useWallet();
  const { token, known } = useTokenState(campaign.token);
  const transaction = useTransaction(() => setText(""));
  const amount = parseAmount(text, token);
  const fault = text === "" ? undefined : typeof amount === "string" ? amount : amount === 0n ? "more than nothing" : undefined;
  const send = () => {
    if (typeof amount !== "bigint" || amount === 0n) return;
    const pays = { token: campaign.token, amount };
    transaction.mutate({ call: "top_up", args: [BigInt(campaign.campaign), amount], pays });
  };
  return (
    <>
      <Button variant="default" onClick={open}>
        Top up the bounty
      </Button>
      <Modal opened={opened} onClose={close} title="Top up the bounty" closeButtonProps={{ "aria-label": "Close" }}>
        <Stack>
          <Text size="sm">
            Anybody may add to a bounty. What mines have not earned by the end goes to the data scientist, not back to you.
          </Text>
          <TextInput
            label={`Amount in ${token.symbol}`}
            inputMode="decimal"
            value={text}
            error={fault}
            onChange={(event) => setText(event.currentTarget.value)}
            data-autofocus
          />
          {wallet ? (
            <Group justify="end">
              <Button disabled={!known || text === "" || fault !== undefined} loading={transaction.isPending} onClick={send}>
                Top up
              </Button>
            </Group>
          ) : (
            <WalletChoice />
          )}
          <TransactionStatus
            progress={transaction.progress}
            error={transaction.error}
            done={transaction.isSuccess ? "The bounty is larger now." : undefined}
          />
        </Stack>
      </Modal>
    </>
  );
}
