import { Button, FileInput, Group, NativeSelect, PasswordInput, SimpleGrid, Text } from "@mantine/core";
import { formatPpm } from "@openmined/shared/format";
import { Failure, fetchJson } from "@openmined/shared/ui";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { type CampaignDetail, readNetwork, useCampaigns } from "../../shared/api";
import { titleOf } from "../../shared/campaign";
import { useWallet } from "../../shared/wallet/WalletProvider";
import type { DraftState } from "./useDraft";

const FILE = "file";

/** Where learning starts: from nothing, from a campaign of one's own, or from a model's file. */
export function EarlierModel({ state, problem }: { state: DraftState; problem: string | undefined }) {
  const { earlier, source } = state.draft;
  const { wallet } = useWallet();
  const mine = useCampaigns({ q: "", phase: "delivered", sort: "newest", scientist: wallet?.account.toLowerCase() });
  const taking = useMutation({
    mutationFn: async (model: () => Promise<Blob>) => {
      const [{ readEarlier }, network] = await Promise.all([import("./earlier"), readNetwork()]);
      const file = await model();
      await state.startFrom(file, await readEarlier(network, file, source === FILE ? undefined : Number(source)));
    },
  });
  const pick = (value: string) => {
    taking.reset();
    void state.pickSource(value);
  };
  const campaigns = wallet ? (mine.data?.pages.flatMap((page) => page.items) ?? []) : [];
  const options = [
    { value: "", label: "From nothing" },
    ...campaigns.map((known) => ({
      value: String(known.campaign),
      label: `No. ${known.campaign}, ${formatPpm(known.best_ppm ?? 0)}: ${titleOf(known).slice(0, 60)}`,
    })),
    { value: FILE, label: "From a model’s file" },
  ];
  if (!options.some(({ value }) => value === source)) options.push({ value: source, label: `Campaign ${source}` });
  return (
    <>
      <NativeSelect
        label="Where it starts"
        description={
          wallet ? "From nothing, or from a model that was delivered to you" : "Connect a wallet to choose one of your campaigns"
        }
        data={options}
        value={source}
        error={problem}
        onChange={(event) => pick(event.currentTarget.value)}
      />
      {source === FILE && !earlier && (
        <FileInput
          label="The model’s file"
          description="As openmined campaign result wrote it. It is sealed to Capsule before it leaves this browser"
          accept=".safetensors"
          placeholder="Choose a file"
          fileInputProps={{ "aria-label": "The model’s file" }}
          onChange={(file) => file && taking.mutate(async () => file)}
        />
      )}
      {source !== "" && source !== FILE && !earlier && (
        <Opening busy={taking.isPending} onOpen={(key, passphrase) => taking.mutate(() => openCampaign(Number(source), key, passphrase))} />
      )}
      {taking.isError && <Failure error={taking.error} />}
      {earlier && (
        <Group gap="sm" role="status">
          <Text size="sm">
            Starts from campaign {earlier.campaign}, {formatPpm(earlier.accuracyPpm)} on the rows it was measured with. Columns, features
            and algorithm are that campaign’s.
          </Text>
          <Button size="xs" variant="default" onClick={() => pick("")}>
            Start from nothing
          </Button>
        </Group>
      )}
    </>
  );
}

async function openCampaign(number: number, key: File, passphrase: string): Promise<Blob> {
  const [{ openDelivered }, network] = await Promise.all([import("./earlier"), readNetwork()]);
  const campaign = await fetchJson<CampaignDetail>(`/v1/campaigns/${number}`);
  return openDelivered(network, campaign, await key.text(), passphrase);
}

/** The key never leaves the browser, nor is it kept: it opens one message. */
function Opening({ busy, onOpen }: { busy: boolean; onOpen: (key: File, passphrase: string) => void }) {
  const [key, setKey] = useState<File | null>(null);
  const [passphrase, setPassphrase] = useState("");
  return (
    <>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <FileInput
          label="Key of that model"
          description="Yours, to which it is encrypted; it stays in this browser and is not kept"
          placeholder="openmined-key.asc"
          value={key}
          fileInputProps={{ "aria-label": "Key of that model" }}
          onChange={setKey}
        />
        <PasswordInput
          label="Its passphrase"
          description="Used once, to open the model here"
          autoComplete="off"
          value={passphrase}
          onChange={(event) => setPassphrase(event.currentTarget.value)}
        />
      </SimpleGrid>
      <Group>
        <Button variant="default" disabled={!key || !passphrase} loading={busy} onClick={() => key && onOpen(key, passphrase)}>
          Open the model
        </Button>
      </Group>
    </>
  );
}
