import { Button, Group, Text } from "@mantine/core";
import { Failure, useNow } from "@openmined/shared/ui";
import { ask, type Campaign, type Decision, useChange } from "../../shared/api";
import { isOpen, refusedByOwner, waitsForNextLook } from "../../shared/words";

/** The owner's word on a campaign and a dataset; a later one replaces it. */
export function Answer({ decision, campaign }: { decision: Decision; campaign: Campaign }) {
  const give = useChange((answer: "approved" | "refused") =>
    ask<Decision>("PUT", `/decisions/${decision.campaign}/${encodeURIComponent(decision.dataset)}`, { answer }),
  );
  const now = useNow();
  if (decision.dataset === "*" || !isOpen(campaign, now)) return null;
  const mayApprove = decision.verdict === "ask" || refusedByOwner(decision);
  const mayRefuse = decision.verdict !== "refuse";
  return (
    <div>
      <Group gap="sm">
        {mayApprove && (
          <Button size="sm" loading={give.isPending} onClick={() => give.mutate("approved")}>
            Approve
          </Button>
        )}
        {mayRefuse && (
          <Button size="sm" variant="default" loading={give.isPending} onClick={() => give.mutate("refused")}>
            Refuse
          </Button>
        )}
      </Group>
      {waitsForNextLook(decision) && (
        <Text size="sm" role="status" mt={4}>
          You {decision.answer} it. The mine takes that up at its next look.
        </Text>
      )}
      {give.isError && <Failure error={give.error} title="Your answer was not kept" />}
    </div>
  );
}
