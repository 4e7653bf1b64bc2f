import { Anchor, Button, Group, Stack, Text, Title } from "@mantine/core";
import { Empty, Loaded } from "@openmined/shared/ui";
import { Link } from "wouter";
import { type Dataset, type Permission, useDatasets } from "../../shared/api";
import { Page } from "../../shared/Page";
import { PrivacyBudget } from "../../shared/PrivacyBudget";
import { sentencesOf } from "../../shared/permission";
import { count } from "../../shared/words";
import "../../shared/card.css";

export default function PermissionsPage() {
  const datasets = useDatasets();
  return (
    <Page title="Permissions" text="What campaigns may do with your data. Everything that is not allowed here is denied.">
      <Loaded query={datasets}>
        {(found) =>
          found.length === 0 ? (
            <Empty title="There is no data to permit yet">
              First{" "}
              <Anchor component={Link} href="/data/import" underline="always">
                import a file
              </Anchor>
              ; until you permit something, no campaign can use it.
            </Empty>
          ) : (
            <Stack gap="md">
              {found.map((dataset) => (
                <Card key={dataset.name} dataset={dataset} />
              ))}
            </Stack>
          )
        }
      </Loaded>
    </Page>
  );
}

function Card({ dataset }: { dataset: Dataset }) {
  return (
    <article className="card" aria-label={`Permission of ${dataset.name}`}>
      <Stack gap="sm">
        <Group justify="space-between" align="start">
          <div style={{ minWidth: 0 }}>
            <Title order={2} className="om-breaks">
              {dataset.name}
            </Title>
            <Text size="sm" className="om-muted">
              {count(dataset.rows, "row")}
            </Text>
          </div>
          <Button
            component={Link}
            href={`/permissions/${dataset.name}`}
            variant="default"
            aria-label={`Change permissions of ${dataset.name}`}
          >
            Change
          </Button>
        </Group>
        <div>
          {sentencesOf(dataset.name, dataset.permission as Permission).map((sentence) => (
            <Text key={sentence} className="om-breaks">
              {sentence}
            </Text>
          ))}
        </div>
        {dataset.permission.mode !== "deny" && <PrivacyBudget dataset={dataset} />}
      </Stack>
    </article>
  );
}
