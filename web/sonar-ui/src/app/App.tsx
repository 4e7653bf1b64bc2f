import { Boundary, explorerLink, Frame, Hash, NotHere } from "@openmined/shared/ui";
import { lazy, Suspense } from "react";
import { Route, Switch } from "wouter";
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
              <Route>
                <NotHere home="All campaigns" />
              </Route>
            </Switch>
          </Suspense>
        </Boundary>
      </Frame>
    </WalletProvider>
  );
}

function Foot() {
  const network = useNetwork().data;
  if (!network) return null;
  return (
    <>
      All figures come from the chain; <a href="/v1/openapi.json">the API</a> gives them to anybody. {network.name ?? "Network"}, chain{" "}
      {network.chain_id}, contract{" "}
      <Hash text={network.contract} href={explorerLink(network.chain_id, "address", network.contract)} label="the contract's address" />
    </>
  );
}
