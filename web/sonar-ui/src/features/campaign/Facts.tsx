import { Title } from "@mantine/core";
import { formatCount, formatDuration, formatExact, formatPpm } from "@openmined/shared/format";
import { Hash } from "@openmined/shared/ui";
import type { ReactNode } from "react";
import { Amount } from "../../shared/amounts";
import { type CampaignDetail, useNetwork } from "../../shared/api";
import { isOver } from "../../shared/campaign";
import { FactsTable } from "../../shared/FactsTable";
import { cidLink } from "../../shared/links";

/** The terms as frozen on chain, and the CIDs of what was published. */
export function Facts({ campaign }: { campaign: CampaignDetail }) {
  const store = useNetwork().data?.gateway_url;
  const published = (digest: string | null, label: string) => {
    if (!digest) return isOver(campaign) ? "none" : "not yet";
    const { cid, href } = cidLink(digest, store);
    return <Hash text={cid} href={href} label={label} />;
  };
  const algorithm = campaign.algorithm ? `${wordsFor(campaign.algorithm)}; mines send ${wordsFor(campaign.update ?? "")}` : "unknown";
  const rows: readonly (readonly [string, ReactNode])[] = [
    ["Input", <Schema key="input" details={campaign.details} side="input" />],
    ["Output", <Schema key="output" details={campaign.details} side="output" />],
    ["Algorithm", algorithm],
    ["Capsule", <Hash key="capsule" text={campaign.capsule} label="Capsule's address" />],
    ["Capsule's fee", <Amount key="fee" value={campaign.fee} token={campaign.token} />],
    ["Bond per gradient", <Amount key="bond" value={campaign.bond} token={campaign.token} />],
    ["Smallest gain that pays", formatPpm(campaign.min_improvement_ppm, 2)],
    ["Deadline", formatExact(campaign.deadline)],
    ["Then, for Capsule to deliver", formatDuration(campaign.grace)],
    ["At once in a batch", `at most ${formatCount(campaign.max_batch)} gradients`],
    ["Manifest", published(campaign.spec, "the manifest's CID")],
    ["Public keys", published(campaign.keys, "the keys' CID")],
    [
      campaign.version > 0 ? `Encrypted model, version ${campaign.version}` : "Encrypted model",
      published(campaign.model, "the model's CID"),
    ],
    ["Delivery", published(campaign.delivery, "the delivery's CID")],
  ];
  return (
    <section aria-label="Terms and documents">
      <Title order={2} mb="sm">
        Terms and documents
      </Title>
      <FactsTable rows={rows} />
    </section>
  );
}

const WORDS: Readonly<Record<string, string>> = {
  "linear-classifier": "linear classifier",
  "linear-regression": "linear regression",
  "mlp-classifier": "two-layer network, both layers encrypted",
  gradient: "one step of learning at a time",
  "local-steps": "many steps of learning at once",
};

/** What a manifest's word means; one that is not known here is shown as it is. */
function wordsFor(word: string): string {
  return Object.hasOwn(WORDS, word) ? (WORDS[word] ?? word) : word;
}

interface SchemaDetails {
  readonly id?: string | null;
  readonly fields?: readonly { readonly name?: unknown; readonly type?: unknown }[];
}

function Schema({ details, side }: { details: CampaignDetail["details"]; side: "input" | "output" }) {
  const schema = (details as Record<string, SchemaDetails> | null)?.[side];
  if (!schema) return "unknown until the manifest was read";
  const fields = (schema.fields ?? []).slice(0, 12).map((field) => `${String(field.name)} (${String(field.type)})`);
  const more = (schema.fields?.length ?? 0) - fields.length;
  return `${schema.id ? `${schema.id}: ` : ""}${fields.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
