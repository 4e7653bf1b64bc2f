import { Anchor, Stack, Title } from "@mantine/core";
import { shortHash } from "@openmined/shared/format";
import { Empty, Failure, Frame } from "@openmined/shared/ui";
import { Component, lazy, type ReactNode, Suspense } from "react";
import { Link, Route, Switch } from "wouter";
import { CampaignsPage } from "../features/campaigns/CampaignsPage";
import { useLiveUpdates, useNetwork } from "../shared/api";
import { WalletButton } from "../shared/wallet/WalletButton";
import { WalletProvider } from "../shared/wallet/WalletProvider";

const CampaignPage = lazy(() => import("../features/campaign/CampaignPage"));
const LaunchPage = lazy(() => import("../features/launch/LaunchPage"));

const PLACES = [
  { to: "/", label: "Campaigns" },
  { to: "/launch", label: "Launch" },
];

export function App() {
  useLiveUpdates();
  return (
    <WalletProvider>
      <Frame name="Sonar" places={PLACES} aside={<WalletButton />} foot={<Foot />}>
        <Boundary>
          <Suspense fallback={null}>
            <Switch>
              <Route path="/" component={CampaignsPage} />
              <Route path="/campaigns/:number">{({ number }) => <CampaignPage key={number} campaign={Number(number)} />}</Route>
              <Route path="/launch" component={LaunchPage} />
              <Route component={NotHere} />
            </Switch>
          </Suspense>
        </Boundary>
      </Frame>
    </WalletProvider>
  );
}

function NotHere() {
  return (
    <Stack>
      <Title order={1}>There is no such page</Title>
      <Empty title="Nothing is here">
        <Anchor component={Link} href="/">
          All campaigns
        </Anchor>
      </Empty>
    </Stack>
  );
}

function Foot() {
  const network = useNetwork().data;
  if (!network) return null;
  return (
    <>
      {network.name ?? "Network"}, chain {network.chain_id}, contract <span className="om-hash">{shortHash(network.contract)}</span>. All
      figures come from the chain; <a href="/v1/openapi.json">the API</a> gives them to anybody.
    </>
  );
}

/** A page that fails says so, and leaves the rest of the application working. */
class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return <Failure error={this.state.error} title="This page failed" retry={() => this.setState({ error: undefined })} />;
  }
}
