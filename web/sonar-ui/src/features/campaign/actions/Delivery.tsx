import { Button, Code, Group, Stack, Text } from "@mantine/core";
import { formatBytes } from "@openmined/shared/format";
import { Failure } from "@openmined/shared/ui";
import { useMutation } from "@tanstack/react-query";
import { readNetwork, useNetwork } from "../../../shared/api";
import { saveFile } from "../../../shared/saveFile";

/** The delivered model, still encrypted to the data scientist, and the command that opens it. */
export function Delivery({ campaign, digest }: { campaign: number; digest: string }) {
  const name = `campaign-${campaign}.pgp`;
  const network = useNetwork().data?.name ?? "devnet";
  const elsewhere = network !== "devnet" && /^[\w.-]+$/.test(network) ? ` --network ${network}` : "";
  const download = useMutation({
    mutationFn: async () => {
      const { fetchDelivery } = await import("../../../shared/fetchDelivery");
      const message = await fetchDelivery(await readNetwork(), campaign, digest);
      saveFile(message, name);
      return message.length;
    },
  });
  return (
    <Stack gap="xs">
      <Group>
        <Button loading={download.isPending} onClick={() => download.mutate()}>
          Download the model, encrypted
        </Button>
        {download.data !== undefined && (
          <Text size="sm" role="status">
            {formatBytes(download.data)}, verified against the chain.
          </Text>
        )}
      </Group>
      {download.isError && <Failure error={download.error} />}
      <Text size="sm" className="om-muted">
        Whoever holds the data scientist’s key opens it and checks Capsule’s signature with
      </Text>
      <Code block style={{ whiteSpace: "pre-wrap" }}>
        openmined campaign result {campaign} --pgp openmined-key.asc --output model.safetensors{elsewhere}
      </Code>
    </Stack>
  );
}
