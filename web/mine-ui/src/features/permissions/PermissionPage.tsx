import { Alert, Button, Group, List, Skeleton, Stack, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { Failure, Loaded, Refusal, ServiceError } from "@openmined/shared/ui";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { ask, type Dataset, type Permission, useChange, useDataset } from "../../shared/api";
import { useDraft } from "../../shared/draft";
import { Page, Section } from "../../shared/Page";
import { PrivacyBudget } from "../../shared/PrivacyBudget";
import { sentencesOf } from "../../shared/permission";
import { Editor } from "./Editor";
import { type Form, formOf, permissionOf } from "./form";

export default function PermissionPage({ name }: { name: string }) {
  const query = useDataset(name);
  return <Loaded query={query}>{(dataset) => <Found dataset={dataset} />}</Loaded>;
}

function Found({ dataset }: { dataset: Dataset }) {
  const standing = dataset.permission as Permission;
  const [draft, setDraft, drop] = useDraft<Form | null>(`permission:${dataset.name}`, null);
  const queries = useQueryClient();
  const [saved, setSaved] = useState(false);
  const form = draft ?? formOf(standing);
  const read = permissionOf(form);
  const change = (part: Partial<Form>) => {
    setSaved(false);
    setDraft({ ...form, ...part });
  };
  const save = useChange(
    (permission: Permission) => ask<Dataset>("PUT", `/datasets/${encodeURIComponent(dataset.name)}/permission`, permission),
    (answer) => {
      queries.setQueryData(["mine", "datasets", dataset.name], answer);
      drop();
      setSaved(true);
    },
  );
  return (
    <Page
      title={`Permission of ${dataset.name}`}
      text="Your mine takes part where every line holds. Changes count from the mine’s next look, within seconds."
    >
      <Editor form={form} faults={"faults" in read ? read.faults : {}} schema={dataset.table_schema} onChange={change} />
      <Section title="In plain words">
        <Stack gap={4} aria-live="polite">
          {sentencesOf(dataset.name, "permission" in read ? read.permission : standing).map((sentence) => (
            <Text key={sentence} className="om-breaks">
              {sentence}
            </Text>
          ))}
        </Stack>
      </Section>
      <Section title="What a campaign could learn with it">
        {"permission" in read ? (
          <Exposure name={dataset.name} permission={read.permission} />
        ) : (
          <Text size="sm">Mend what is marked above first.</Text>
        )}
      </Section>
      <Section title="Privacy budget">
        <PrivacyBudget dataset={dataset} />
      </Section>
      {save.isError && <Failure error={worded(save.error)} />}
      {saved && (
        <Alert color="teal" variant="light" role="status" title="Saved">
          The mine follows it from now on.
        </Alert>
      )}
      <Group>
        <Button
          disabled={!("permission" in read) || draft === null}
          loading={save.isPending}
          onClick={() => "permission" in read && save.mutate(read.permission)}
        >
          Save the permission
        </Button>
        {draft !== null && (
          <Button variant="default" onClick={drop}>
            Discard changes
          </Button>
        )}
        <Button component={Link} href="/permissions" variant="subtle">
          All permissions
        </Button>
      </Group>
    </Page>
  );
}

function Exposure({ name, permission }: { name: string; permission: Permission }) {
  const [wanted] = useDebouncedValue(permission, 300);
  const query = useQuery({
    queryKey: ["exposure", name, wanted],
    queryFn: () => ask<{ exposure: string[] }>("POST", `/datasets/${encodeURIComponent(name)}/exposure`, wanted),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (query.isError) return <Failure error={worded(query.error)} retry={() => void query.refetch()} />;
  if (!query.data) return <Skeleton height={72} />;
  return (
    <List spacing={4} aria-live="polite">
      {query.data.exposure.map((line) => (
        <List.Item key={line} className="om-breaks">
          {line}
        </List.Item>
      ))}
    </List>
  );
}

function worded(error: unknown): unknown {
  return error instanceof ServiceError && error.status === 422
    ? new Refusal("The mine did not accept this", `${error.detail.slice(0, 400)}.`)
    : error;
}
