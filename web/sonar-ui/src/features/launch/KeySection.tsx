import { Button, Group, PasswordInput, Stack, Text, Textarea } from "@mantine/core";
import { Failure } from "@openmined/shared/ui";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { saveFile } from "../../shared/saveFile";
import { Section } from "./Section";

const SHORTEST = 8;

interface Props {
  readonly certificate: string;
  readonly problem: string | undefined;
  onChange(certificate: string): void;
}

/** Whose key the final model is encrypted to: an OpenPGP certificate, made here or pasted. */
export function KeySection({ certificate, problem, onChange }: Props) {
  const [passphrase, setPassphrase] = useState("");
  const making = useMutation({
    mutationFn: async () => {
      const { makeKey } = await import("./pgp");
      const made = await makeKey(passphrase);
      saveFile(new TextEncoder().encode(made.secret), "openmined-key.asc");
      onChange(made.certificate);
      setPassphrase("");
    },
  });
  const fingerprint = useQuery({
    queryKey: ["fingerprint", certificate],
    enabled: certificate !== "",
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => (await import("./pgp")).fingerprintOf(certificate),
  });
  return (
    <Section
      number={5}
      title="Your key"
      text="The final model is encrypted to it. Whoever loses the key or its passphrase cannot read the model, and nobody can help."
    >
      <Group align="end" gap="sm">
        <PasswordInput
          label="Passphrase for a new key"
          description={`At least ${SHORTEST} characters. The key is saved to your downloads, locked with it`}
          value={passphrase}
          autoComplete="new-password"
          style={{ flex: "1 1 20rem" }}
          onChange={(event) => setPassphrase(event.currentTarget.value)}
        />
        <Button variant="default" disabled={passphrase.length < SHORTEST} loading={making.isPending} onClick={() => making.mutate()}>
          Make and save a key
        </Button>
      </Group>
      {making.isError && <Failure error={making.error} />}
      <Textarea
        label="Or your own certificate"
        description="As gpg --armor --export NAME prints it"
        placeholder="-----BEGIN PGP PUBLIC KEY BLOCK-----"
        value={certificate}
        error={problem}
        rows={3}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: "0.8rem" } }}
        onChange={(event) => onChange(event.currentTarget.value.trim())}
      />
      <Stack gap={4} aria-live="polite">
        {making.isSuccess && <Text size="sm">Saved as openmined-key.asc. Keep it and its passphrase.</Text>}
        {fingerprint.data && (
          <Text size="sm" className="om-breaks">
            Fingerprint <span className="om-hash">{fingerprint.data}</span>
          </Text>
        )}
        {fingerprint.isError && <Failure error={fingerprint.error} />}
      </Stack>
    </Section>
  );
}
