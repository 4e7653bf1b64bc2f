import { NativeSelect, Table, Text } from "@mantine/core";
import type { Column, FieldType, Role } from "./columns";
import { withClasses } from "./columns";
import type { Csv } from "./csv";

const MOST_SHOWN = 60;
const ROLES = [
  { value: "input", label: "Input" },
  { value: "output", label: "Output" },
  { value: "unused", label: "Left out" },
];
const TYPES: FieldType[] = ["number", "integer", "string", "boolean", "array", "date", "datetime"];

interface Props {
  readonly csv: Csv;
  readonly columns: readonly Column[];
  onChange(columns: readonly Column[]): void;
}

/** The schema as drawn: what each column holds, and what it is for. */
export function ColumnTable({ csv, columns, onChange }: Props) {
  const change = (at: number, part: Partial<Column>) => {
    const values = csv.rows.map((row) => (row[at] ?? "").trim());
    onChange(
      columns.map((column, index) => {
        if (index !== at) return column;
        const next = { ...column, classes: undefined, ...part };
        return next.role === "output" ? withClasses(next, values) : next;
      }),
    );
  };
  return (
    <>
      <Table.ScrollContainer minWidth={620} scrollAreaProps={{ viewportProps: { tabIndex: 0, "aria-label": "Columns, scrollable" } }}>
        <Table verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Column</Table.Th>
              <Table.Th>Use</Table.Th>
              <Table.Th>Type</Table.Th>
              <Table.Th>First row</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {columns.slice(0, MOST_SHOWN).map((column, at) => (
              <ColumnRow key={column.name} column={column} example={csv.rows[0]?.[at] ?? ""} onChange={(part) => change(at, part)} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {columns.length > MOST_SHOWN && (
        <Text size="sm" className="om-muted">
          And {columns.length - MOST_SHOWN} more, as found in the file: {summary(columns.slice(MOST_SHOWN))}.
        </Text>
      )}
    </>
  );
}

function ColumnRow({ column, example, onChange }: { column: Column; example: string; onChange: (part: Partial<Column>) => void }) {
  const classes =
    column.classes && `${column.classes.length} classes: ${column.classes.slice(0, 6).join(", ")}${column.classes.length > 6 ? ", …" : ""}`;
  return (
    <Table.Tr>
      <Table.Td className="om-breaks">
        {column.name}
        {column.published && (
          <Text size="xs" className="om-muted">
            of the published schema
          </Text>
        )}
      </Table.Td>
      <Table.Td miw={120}>
        <NativeSelect
          aria-label={`Use of ${column.name}`}
          size="xs"
          data={ROLES}
          value={column.role}
          onChange={(event) => onChange({ role: event.currentTarget.value as Role })}
        />
      </Table.Td>
      <Table.Td>
        <NativeSelect
          aria-label={`Type of ${column.name}`}
          size="xs"
          data={TYPES}
          value={column.type}
          disabled={column.published !== undefined}
          onChange={(event) => onChange({ type: event.currentTarget.value as FieldType })}
        />
        {classes && (
          <Text size="xs" className="om-muted om-breaks">
            {classes}
          </Text>
        )}
      </Table.Td>
      <Table.Td maw={220}>
        <Text size="sm" truncate>
          {example.slice(0, 120) || "(empty)"}
        </Text>
      </Table.Td>
    </Table.Tr>
  );
}

function summary(columns: readonly Column[]): string {
  const counted = new Map<string, number>();
  for (const column of columns) counted.set(`${column.role}, ${column.type}`, (counted.get(`${column.role}, ${column.type}`) ?? 0) + 1);
  return [...counted].map(([what, number]) => `${number} ${what}`).join("; ");
}
