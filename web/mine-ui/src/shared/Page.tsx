import { Group, Stack, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";

/** What every page begins with: its name, one sentence, and what can be done here. */
export function Page({ title, text, actions, children }: { title: string; text?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useDocumentTitle(`${title} · Mine`);
  return (
    <Stack gap="xl">
      <Group justify="space-between" align="end">
        <div style={{ flex: "1 1 18rem", minWidth: 0 }}>
          <Title order={1} className="om-breaks">
            {title}
          </Title>
          {text && (
            <Text className="om-muted" component="div">
              {text}
            </Text>
          )}
        </div>
        {actions}
      </Group>
      {children}
    </Stack>
  );
}

export function Section({ title, text, children }: { title: string; text?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <Title order={2} mb={text ? 4 : "sm"}>
        {title}
      </Title>
      {text && (
        <Text size="sm" className="om-muted" mb="sm" maw={760} component="div">
          {text}
        </Text>
      )}
      {children}
    </section>
  );
}
