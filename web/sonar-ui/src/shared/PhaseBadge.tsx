import { Badge } from "@mantine/core";
import type { Campaign } from "./api";
import { PHASE_WORDS } from "./campaign";

export function PhaseBadge({ phase }: { phase: Campaign["phase"] }) {
  const { label, color } = PHASE_WORDS[phase];
  return (
    <Badge variant="dot" color={color} tt="none" fw={500} size="lg">
      {label}
    </Badge>
  );
}
