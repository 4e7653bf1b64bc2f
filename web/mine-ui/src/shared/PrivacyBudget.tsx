import { Progress, Text } from "@mantine/core";
import type { Dataset } from "./api";

/** How much of the privacy budget over all campaigns is left. */
export function PrivacyBudget({ dataset }: { dataset: Dataset }) {
  const budget = dataset.permission.epsilon_budget ?? null;
  const spent = dataset.epsilon_spent;
  if (budget === null) {
    return (
      <Text size="sm">
        No privacy budget is set{spent > 0 ? `; campaigns with privacy have spent epsilon ${short(spent)} so far` : ""}.
      </Text>
    );
  }
  const left = Math.max(0, budget - spent);
  return (
    <div>
      <Progress value={Math.min(100, (100 * spent) / budget)} aria-label="Privacy budget spent" mb={6} />
      <Text size="sm">
        Epsilon {short(left)} left of {short(budget)}; {short(spent)} spent over all campaigns.
      </Text>
    </div>
  );
}

function short(epsilon: number): string {
  return Number(epsilon.toFixed(6)).toString();
}
