import { Stack } from "@mantine/core";
import { Boundary, Frame, NotHere } from "@openmined/shared/ui";
import { lazy, Suspense } from "react";
import { Route, Switch } from "wouter";
import { OverviewPage } from "../features/overview/OverviewPage";
import { useFollow } from "../shared/live";
import { Away } from "./Away";
import { Gate } from "./Gate";
import { LogOut } from "./LogOut";

const DataPage = lazy(() => import("../features/data/DataPage"));
const DatasetPage = lazy(() => import("../features/data/DatasetPage"));
const ImportPage = lazy(() => import("../features/import/ImportPage"));
const PermissionsPage = lazy(() => import("../features/permissions/PermissionsPage"));
const PermissionPage = lazy(() => import("../features/permissions/PermissionPage"));
const CampaignsPage = lazy(() => import("../features/campaigns/CampaignsPage"));
const CampaignPage = lazy(() => import("../features/campaigns/CampaignPage"));
const EarningsPage = lazy(() => import("../features/earnings/EarningsPage"));
const SettingsPage = lazy(() => import("../features/settings/SettingsPage"));

const PLACES = [
  { to: "/data", label: "Data" },
  { to: "/permissions", label: "Permissions" },
  { to: "/campaigns", label: "Campaigns" },
  { to: "/earnings", label: "Earnings" },
  { to: "/settings", label: "Settings" },
];

export function App() {
  return (
    <Gate>
      {(open) => (
        <>
          <Follow wanted={open} />
          <Frame
            name="Mine"
            places={PLACES}
            aside={<LogOut />}
            foot="Your rows, your permissions and your keys stay on this machine. Only gradients leave it, encrypted: how your rows would change a model."
          >
            <Stack gap="lg">
              <Away />
              <Boundary>
                <Pages />
              </Boundary>
            </Stack>
          </Frame>
        </>
      )}
    </Gate>
  );
}

function Follow({ wanted }: { wanted: boolean }) {
  useFollow(wanted);
  return null;
}

function Pages() {
  return (
    <Suspense fallback={null}>
      <Switch>
        <Route path="/" component={OverviewPage} />
        <Route path="/data" component={DataPage} />
        <Route path="/data/import" component={ImportPage} />
        <Route path="/data/:name">{({ name }) => <DatasetPage key={name} name={name} />}</Route>
        <Route path="/permissions" component={PermissionsPage} />
        <Route path="/permissions/:name">{({ name }) => <PermissionPage key={name} name={name} />}</Route>
        <Route path="/campaigns" component={CampaignsPage} />
        <Route path="/campaigns/:number">{({ number }) => <CampaignPage key={number} number={Number(number)} />}</Route>
        <Route path="/earnings" component={EarningsPage} />
        <Route path="/settings" component={SettingsPage} />
        <Route>
          <NotHere home="Overview" />
        </Route>
      </Switch>
    </Suspense>
  );
}
