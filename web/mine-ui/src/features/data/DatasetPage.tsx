import { Button, Group, List, SimpleGrid, Table, Text } from "@mantine/core";
import { formatBytes, formatCount } from "@openmined/shared/format";
import { Figure, Loaded, When } from "@openmined/shared/ui";
import { Link } from "wouter";
import { type Dataset, type Permission, useCampaigns, useDataset } from "../../shared/api";
import { Page, Section } from "../../shared/Page";
import { PrivacyBudget } from "../../shared/PrivacyBudget";
import { sentencesOf } from "../../shared/permission";
import { clip, count, seconds } from "../../shared/words";
import { DeleteDataset } from "./DeleteDataset";
import { countUse, sizeOf } from "./use";

export default function DatasetPage({ name }: { name: string }) {
  const query = useDataset(name);
  return <Loaded query={query}>{(dataset) => <Found dataset={dataset} />}</Loaded>;
}

function Found({ dataset }: { dataset: Dataset }) {
  const use = countUse(dataset.name, useCampaigns().data ?? []);
  const permission = dataset.permission as Permission;
  return (
    <Page
      title={dataset.name}
      text={dataset.table_schema.title ? clip(dataset.table_schema.title) : undefined}
      actions={
        <Group>
          <Button component={Link} href={`/permissions/${dataset.name}`}>
            Change permissions
          </Button>
          <DeleteDataset name={dataset.name} rows={dataset.rows} />
        </Group>
      }
    >
      <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="lg" component="section" aria-label="Figures">
        <Figure label="Rows" note={count(dataset.imports.length, "import")}>
          {formatCount(dataset.rows)}
        </Figure>
        <Figure label="Size" note="encrypted, on this machine">
          {formatBytes(sizeOf(dataset))}
        </Figure>
        <Figure label="Gradients" note={`for ${count(use.campaigns, "campaign")}`}>
          {formatCount(use.gradients)}
        </Figure>
        <Figure label="Fields" note={dataset.table_schema.id ?? "a schema of your own"}>
          {formatCount(dataset.table_schema.fields.length)}
        </Figure>
      </SimpleGrid>
      <Section title="What campaigns may do">
        {sentencesOf(dataset.name, permission).map((sentence) => (
          <Text key={sentence} className="om-breaks">
            {sentence}
          </Text>
        ))}
      </Section>
      <Section title="What a campaign could learn">
        <List spacing={4}>
          {dataset.exposure.map((line) => (
            <List.Item key={line}>{line}</List.Item>
          ))}
        </List>
      </Section>
      <Section title="Privacy budget">
        <PrivacyBudget dataset={dataset} />
      </Section>
      <Fields dataset={dataset} />
      <Imports dataset={dataset} />
    </Page>
  );
}

function Fields({ dataset }: { dataset: Dataset }) {
  return (
    <Section title="Fields">
      <Table.ScrollContainer minWidth={320} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Fields, scrollable" } }}>
        <Table verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Field</Table.Th>
              <Table.Th>Type</Table.Th>
              <Table.Th>Means</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {dataset.table_schema.fields.map((field) => (
              <Table.Tr key={field.name}>
                <Table.Td>{field.name}</Table.Td>
                <Table.Td>
                  {field.type}
                  {field.type === "array" && field.constraints?.maxLength ? ` of ${formatCount(field.constraints.maxLength)}` : ""}
                  {field.unit ? `, ${clip(field.unit, 40)}` : ""}
                </Table.Td>
                <Table.Td className="om-muted om-breaks">{clip(field.description ?? field.title ?? "–")}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Section>
  );
}

function Imports({ dataset }: { dataset: Dataset }) {
  return (
    <Section title="Imports">
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Imported</Table.Th>
            <Table.Th ta="right">Rows</Table.Th>
            <Table.Th ta="right">Size</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {dataset.imports.map((part, at) => (
            <Table.Tr key={`${part.imported} ${at}`}>
              <Table.Td>
                <When at={seconds(part.imported)} />
              </Table.Td>
              <Table.Td ta="right">{formatCount(part.rows)}</Table.Td>
              <Table.Td ta="right">{formatBytes(part.bytes)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Section>
  );
}
