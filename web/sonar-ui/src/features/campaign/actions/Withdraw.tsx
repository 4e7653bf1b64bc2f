import { Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Amount } from "../../../shared/amounts";
import { readNetwork } from "../../../shared/api";
import { TransactionStatus } from "../../../shared/wallet/TransactionStatus";
import { useTransaction } from "../../../shared/wallet/useTransaction";
import { useWallet } from "../../../shared/wallet/WalletProvider";

/** What the contract owes the connected account in a token, and a button that fetches it. */
export function Withdraw({ token }: { token: string }) {
  const { wallet } = useWallet();
  const transaction = useTransaction();
  const credit = useQuery({
    queryKey: ["credit", token, wallet?.account],
    enabled: wallet !== undefined,
    refetchInterval: 15_000,
    queryFn: async () => {
      const { readCredit } = await import("./credit");
      return String(wallet ? await readCredit(await readNetwork(), wallet, token) : 0n);
    },
  });
  const owed = BigInt(credit.data ?? "0");
  if (owed === 0n && transaction.isIdle) return null;
  return (
    <Group gap="md">
      {owed > 0n && (
        <>
          <Text size="sm" component="div">
            <Amount value={owed} token={token} /> are credited to this account.
          </Text>
          <Button size="xs" loading={transaction.isPending} onClick={() => transaction.mutate({ call: "withdraw", args: [token] })}>
            Withdraw
          </Button>
        </>
      )}
      <TransactionStatus
        progress={transaction.progress}
        error={transaction.error}
        done={transaction.isSuccess ? "Withdrawn to your account." : undefined}
      />
    </Group>
  );
}
