import { Button, Group } from "@mantine/core";
import { ask } from "../../shared/api";
import { useDraft } from "../../shared/draft";
import { Page } from "../../shared/Page";
import { Choose } from "./Choose";
import { Look } from "./Look";
import { type Draft, EMPTY } from "./plan";
import { Running } from "./Running";

/** From a file to a dataset: choose it, look at what would be kept, import. A reload goes on where it was. */
export default function ImportPage() {
  const [draft, setDraft, drop] = useDraft<Draft>("import", EMPTY);
  const startOver = () => {
    if (draft.upload && draft.stage === "look") void ask("DELETE", `/uploads/${draft.upload}`).catch(() => undefined);
    drop();
  };
  return (
    <Page
      title="Import data"
      text="Rows are encrypted on this machine and never leave it. Nothing is shared by importing: permissions are given afterwards."
      actions={
        draft.stage === "look" && (
          <Group>
            <Button variant="default" onClick={startOver}>
              Choose another file
            </Button>
          </Group>
        )
      }
    >
      {(draft.stage === "choose" || draft.stage === "sending") && <Choose draft={draft} onChange={setDraft} />}
      {draft.stage === "look" && <Look draft={draft} onChange={setDraft} startOver={startOver} />}
      {draft.stage === "importing" && <Running draft={draft} startOver={startOver} />}
    </Page>
  );
}
