import { Badge } from "@mantine/core";
import type { Mark as Words } from "./words";

/** A state: a coloured dot and a word. */
export function Mark({ mark }: { mark: Words }) {
  return (
    <Badge variant="dot" color={mark.color} tt="none" fw={500} size="lg" styles={{ label: { overflow: "visible" } }}>
      {mark.label}
    </Badge>
  );
}
