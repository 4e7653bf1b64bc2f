import { Button, Group, Loader, Menu, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { shortHash } from "@openmined/shared/format";
import { Empty, Failure } from "@openmined/shared/ui";
import { useState } from "react";
import { useNetwork } from "../api";
import { type FoundWallet, useWallet } from "./WalletProvider";

export function WalletButton() {
  const { wallet, disconnect } = useWallet();
  const [opened, { open, close }] = useDisclosure();
  if (!wallet) {
    return (
      <>
        <Button variant="default" onClick={open}>
          Connect wallet
        </Button>
        <Modal opened={opened} onClose={close} title="Connect a wallet" closeButtonProps={{ "aria-label": "Close" }}>
          <WalletChoice onConnected={close} />
        </Modal>
      </>
    );
  }
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" className="om-hash" fw={500}>
          {shortHash(wallet.account)}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{wallet.name}</Menu.Label>
        <Menu.Item onClick={() => void navigator.clipboard.writeText(wallet.account)}>Copy the address</Menu.Item>
        <Menu.Item onClick={() => void disconnect()}>Disconnect</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

export function WalletChoice({ onConnected }: { onConnected?: () => void }) {
  const { wallets, connect } = useWallet();
  const [failed, setFailed] = useState<unknown>();
  const [asking, setAsking] = useState<string>();
  const choose = async (found: FoundWallet) => {
    setFailed(undefined);
    setAsking(found.id);
    try {
      await connect(found.id);
      onConnected?.();
    } catch (error) {
      setFailed(error);
    } finally {
      setAsking(undefined);
    }
  };
  if (!wallets) return <Looking />;
  if (wallets.length === 0) {
    return (
      <Empty title="No wallet was found">
        Install a wallet as an extension of this browser, or unlock the one you have, and load this page again. Any that announces itself to
        pages (EIP-6963) will do.
      </Empty>
    );
  }
  return (
    <Stack gap="sm">
      {wallets.map((found) => (
        <Button
          key={found.id}
          variant="default"
          size="md"
          justify="start"
          loading={asking === found.id}
          leftSection={<Icon wallet={found} />}
          onClick={() => void choose(found)}
        >
          {found.name}
        </Button>
      ))}
      {asking && (
        <Text size="sm" className="om-muted" role="status">
          Answer in the wallet.
        </Text>
      )}
      {failed !== undefined && <Failure error={failed} />}
    </Stack>
  );
}

function Looking() {
  const network = useNetwork();
  if (network.isError) return <Failure error={network.error} retry={() => void network.refetch()} />;
  return (
    <Group gap="sm" role="status">
      <Loader size="xs" aria-hidden />
      <Text size="sm">Looking for wallets.</Text>
    </Group>
  );
}

function Icon({ wallet }: { wallet: FoundWallet }) {
  const [broken, setBroken] = useState(false);
  if (!wallet.icon || broken) return null;
  return <img src={wallet.icon} alt="" width={20} height={20} onError={() => setBroken(true)} />;
}
