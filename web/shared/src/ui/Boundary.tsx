import { Anchor, Stack, Title } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { Link } from "wouter";
import { Empty, Failure } from "./Notices";

/** What stands at an address that has no page. */
export function NotHere(props: { home: string }) {
  return (
    <Stack>
      <Title order={1}>There is no such page</Title>
      <Empty title="Nothing is here">
        <Anchor component={Link} href="/">
          {props.home}
        </Anchor>
      </Empty>
    </Stack>
  );
}

/** A page that fails says so, and leaves the rest of the application working. */
export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return <Failure error={this.state.error} title="This page failed" retry={() => this.setState({ error: undefined })} />;
  }
}
