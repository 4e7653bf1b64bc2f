import { SimpleGrid, TextInput } from "@mantine/core";
import { formatAmount, formatPpm, type Token } from "@openmined/shared/format";
import type { Draft } from "./draft";
import type { Problems } from "./plan";
import { Section } from "./Section";
import type { Task } from "./task";

interface Props {
  readonly draft: Draft;
  readonly task: Task | undefined;
  readonly token: Token;
  readonly divides: boolean;
  readonly problems: Problems;
  change(part: Partial<Draft>): void;
}

type Field = "bounty" | "token" | "days" | "graceDays" | "fee" | "bond" | "step" | "maxGradients" | "epsilon";

export function MoneySection({ draft, task, token, divides, problems, change }: Props) {
  const unit = divides ? token.symbol : `smallest units of ${token.symbol}`;
  const ofToken = divides
    ? "Address of an ERC-20 token; empty is ETH"
    : "It does not say how many decimals it has: amounts are in its smallest unit";
  const step = task ? formatPpm(task.stepPpm, 2) : "by the number of rows";
  const field = (name: Field, label: string, description: string, extra: { required?: boolean; placeholder?: string } = {}) => (
    <TextInput
      label={label}
      description={description}
      inputWrapperOrder={["label", "input", "description", "error"]}
      inputMode={name === "token" ? "text" : "decimal"}
      value={draft[name]}
      error={problems[name]}
      onChange={(event) => change({ [name]: event.currentTarget.value.trim() })}
      {...extra}
    />
  );
  return (
    <Section
      number={4}
      title="What it pays, and until when"
      text="The contract holds the bounty and pays mines for each point of accuracy they add. What they do not earn comes back to you."
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        {field("bounty", `Bounty in ${unit}`, "The whole deposit, Capsule’s fee included", { required: true, placeholder: "1" })}
        {field("token", "Token", ofToken, { placeholder: "ETH" })}
        {field("days", "Deadline, in days from now", "Mines submit until then", { required: true })}
        {field("graceDays", "Then for Capsule to deliver, in days", "After that anybody can end the campaign", { required: true })}
        {field("fee", `Capsule’s fee in ${unit}`, "Paid on delivery; a twentieth of the bounty unless given", {
          placeholder: placeholder(draft.bounty, 20n, token),
        })}
        {field("bond", `Bond in ${unit}`, "Deposited with each gradient, lost by harmful ones; a thousandth unless given", {
          placeholder: placeholder(draft.bounty, 1000n, token),
        })}
        {field("step", "Smallest gain that pays, in %", "So that noise cannot earn", { placeholder: step })}
        {field("maxGradients", "Gradients at most", "In the whole campaign", { required: true })}
        {field(
          "epsilon",
          "Differential privacy asked of mines: ε",
          "For each row, with δ of one in a million. Smaller is more private and less accurate; empty asks for none",
          {
            placeholder: "none",
          },
        )}
      </SimpleGrid>
    </Section>
  );
}

function placeholder(bounty: string, part: bigint, token: Token): string {
  const found = /^\d+(\.\d{1,18})?$/.test(bounty) ? bounty : undefined;
  if (!found) return "";
  const [whole = "0", rest = ""] = found.split(".");
  const amount = BigInt(whole + rest.slice(0, token.decimals).padEnd(token.decimals, "0")) / part;
  return formatAmount(amount, token).replace(/[^\d.]/g, "");
}
