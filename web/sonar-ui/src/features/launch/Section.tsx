import { Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

export function Section({ number, title, text, children }: { number: number; title: string; text: string; children: ReactNode }) {
  return (
    <section aria-labelledby={`section-${number}`}>
      <Title order={2} id={`section-${number}`}>
        {number}. {title}
      </Title>
      <Text size="sm" className="om-muted" mb="sm">
        {text}
      </Text>
      <Stack gap="sm">{children}</Stack>
    </section>
  );
}
