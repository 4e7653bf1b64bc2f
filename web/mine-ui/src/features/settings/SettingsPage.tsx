import { Loaded } from "@openmined/shared/ui";
import { useSettings } from "../../shared/api";
import { Page, Section } from "../../shared/Page";
import { Health } from "./Health";
import { SettingsForm } from "./SettingsForm";

export default function SettingsPage() {
  const settings = useSettings();
  return (
    <Page title="Settings" text="The network, the wallet and the address of this page are set in mine.toml.">
      <Section title="Health">
        <Health />
      </Section>
      <Section title="Settings">
        <Loaded query={settings}>{(found) => <SettingsForm settings={found} />}</Loaded>
      </Section>
    </Page>
  );
}
