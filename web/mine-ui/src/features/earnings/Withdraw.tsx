import { Button, Group, Text } from "@mantine/core";
import { Failure } from "@openmined/shared/ui";
import { ask, isUnderWay, useChange, useStatus, type Withdrawal } from "../../shared/api";
import { isEth } from "../../shared/money";

/** Fetches everything in a token from the contract; the running mine sends the transaction. */
export function Withdraw({ token, owed, withdrawals }: { token: string; owed: bigint; withdrawals: readonly Withdrawal[] }) {
  const running = useStatus().data?.running ?? true;
  const own = withdrawals.filter((withdrawal) => withdrawal.token.toLowerCase() === token);
  const pending = own.some(isUnderWay);
  const order = useChange(() => ask<Withdrawal>("POST", "/withdrawals", isEth(token) ? {} : { token }));
  const mine = order.data && own.find((withdrawal) => withdrawal.id === order.data.id);
  return (
    <div>
      <Group gap="md">
        <Button disabled={owed === 0n || pending} loading={order.isPending} onClick={() => order.mutate(undefined)}>
          Withdraw
        </Button>
        <Text size="sm" role="status">
          {pending
            ? running
              ? "On its way: the mine sends the transaction."
              : "Asked for. The mine sends it as soon as it runs."
            : mine?.state === "done"
              ? "Withdrawn to the mine’s account."
              : owed === 0n
                ? "Nothing is owed to you now."
                : "To the mine’s account, all of it. The network’s fee is paid from that account."}
        </Text>
      </Group>
      {order.isError && <Failure error={order.error} title="It was not asked for" />}
      {mine?.state === "failed" && !pending && <Failure error={new Error(mine.problem ?? "")} title="The withdrawal failed" />}
    </div>
  );
}
