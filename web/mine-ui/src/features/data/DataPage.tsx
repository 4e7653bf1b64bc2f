import { Anchor, Button, Stack, Text } from "@mantine/core";
import { formatBytes } from "@openmined/shared/format";
import { Empty, Loaded, When } from "@openmined/shared/ui";
import { Link } from "wouter";
import { type Dataset, useCampaigns, useDatasets } from "../../shared/api";
import { Page } from "../../shared/Page";
import { headline } from "../../shared/permission";
import { clip, count, seconds } from "../../shared/words";
import { countUse, sizeOf } from "./use";
import "../../shared/row.css";

export default function DataPage() {
  const datasets = useDatasets();
  return (
    <Page
      title="Data"
      text="Encrypted on this machine. Campaigns learn from them; nobody gets them."
      actions={
        <Button component={Link} href="/data/import">
          Import data
        </Button>
      }
    >
      <Loaded query={datasets}>
        {(found) =>
          found.length === 0 ? (
            <Empty title="There is no data here yet">
              A mine earns with data:{" "}
              <Anchor component={Link} href="/data/import" underline="always">
                import a file
              </Anchor>{" "}
              such as the archive of X (Twitter), Google Takeout, or a table as CSV.
            </Empty>
          ) : (
            <Stack gap={0} component="section" aria-label="Datasets">
              {found.map((dataset) => (
                <Row key={dataset.name} dataset={dataset} />
              ))}
            </Stack>
          )
        }
      </Loaded>
    </Page>
  );
}

function Row({ dataset }: { dataset: Dataset }) {
  const use = countUse(dataset.name, useCampaigns().data ?? []);
  const last = dataset.imports.at(-1);
  return (
    <article className="om-row data-row">
      <div className="om-row-title">
        <Anchor component={Link} href={`/data/${dataset.name}`} fw={600} className="om-breaks">
          {dataset.name}
        </Anchor>
        <Text size="sm" className="om-muted om-breaks">
          {dataset.table_schema.id ?? clip(dataset.table_schema.fields.map((field) => field.name).join(", "), 90)}
        </Text>
      </div>
      <Text size="sm" component="div">
        {count(dataset.rows, "row")}
        <div className="om-muted">
          {formatBytes(sizeOf(dataset))}
          {last && (
            <>
              , <When at={seconds(last.imported)} />
            </>
          )}
        </div>
      </Text>
      <Text size="sm" component="div">
        {count(use.gradients, "gradient")}
        <div className="om-muted">for {count(use.campaigns, "campaign")}</div>
      </Text>
      <Text size="sm" className="om-breaks om-row-wide">
        {headline(dataset.name, dataset.permission as Parameters<typeof headline>[1])}
      </Text>
    </article>
  );
}
