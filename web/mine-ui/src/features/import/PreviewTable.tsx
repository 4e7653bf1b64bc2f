import { Alert, Stack, Table, Text } from "@mantine/core";
import { Empty } from "@openmined/shared/ui";
import { clip, count } from "../../shared/words";
import { type Preview, shownValue, TYPE_WORDS } from "./plan";
import "./import.css";

/** The first rows as they would be kept, and what would be left out with its reason. */
export function PreviewTable({ preview }: { preview: Preview }) {
  return (
    <Stack gap="md">
      <Problems
        title={`${count(preview.problems.length, "record")} among the first cannot be read, and would be left out`}
        lines={preview.problems}
      />
      <Problems title={`${count(preview.refused.length, "entry", "entries")} of the archive are not opened`} lines={preview.refused} />
      {preview.rows.length === 0 ? (
        <Empty title="No row could be read">Another reader or another schema may fit better.</Empty>
      ) : (
        <Rows preview={preview} />
      )}
    </Stack>
  );
}

function Rows({ preview }: { preview: Preview }) {
  const { fields } = preview.table_schema;
  return (
    <>
      <Text size="sm" className="om-muted">
        The first {count(preview.rows.length, "row")}:
      </Text>
      <Table.ScrollContainer
        minWidth={Math.min(900, 140 * fields.length)}
        mah={420}
        scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Preview of rows, scrollable" } }}
      >
        <Table verticalSpacing={6} className="preview" fz="sm">
          <Table.Thead>
            <Table.Tr>
              {fields.map((field) => (
                <Table.Th key={field.name}>
                  {field.name}{" "}
                  <Text span size="xs" className="om-muted" fw={400}>
                    {TYPE_WORDS[field.type]}
                  </Text>
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {preview.rows.map((row, at) => (
              <Table.Tr key={at}>
                {fields.map((field) => (
                  <Table.Td key={field.name}>{shownValue(row[field.name])}</Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  );
}

export function Problems({ title, lines }: { title: string; lines: readonly string[] }) {
  if (lines.length === 0) return null;
  return (
    <Alert color="yellow" variant="light" title={title} role="alert">
      <ul style={{ margin: 0, paddingLeft: "1.2rem" }}>
        {lines.slice(0, 20).map((line, at) => (
          <li key={at} className="om-breaks">
            {clip(line, 300)}
          </li>
        ))}
      </ul>
    </Alert>
  );
}
