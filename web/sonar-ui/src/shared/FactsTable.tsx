import { Table } from "@mantine/core";
import type { ReactNode } from "react";

/** Names on the left, what they are on the right. */
export function FactsTable({ rows }: { readonly rows: readonly (readonly [string, ReactNode])[] }) {
  return (
    <Table variant="vertical" layout="fixed" verticalSpacing="xs">
      <Table.Tbody>
        {rows.map(([name, value]) => (
          <Table.Tr key={name}>
            <Table.Th w={{ base: 150, sm: 260 }} fw={400} className="om-muted" style={{ background: "none" }}>
              {name}
            </Table.Th>
            <Table.Td className="om-breaks">{value}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
