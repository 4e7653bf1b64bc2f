/** `openmined-mine`: the commands of a data owner's own server, the same as `openmined mine`. */
import { printable, UsageError } from "./commands/options.ts";
import { OpenMinedError } from "./errors.ts";

type Command = (args: string[]) => Promise<void>;

/** Each command is loaded when it is named: `status` does not wait for the chain's library. */
const COMMANDS: Record<string, { help: string; load: () => Promise<Command> }> = {
  init: {
    help: "Make a mine: a folder with keys, a ledger and settings. Nothing is permitted yet.",
    load: async () => (await import("./commands/init.ts")).init,
  },
  import: {
    help: "Read an export into an encrypted dataset; of an overlapping one only what is new.",
    load: () => delegated("import"),
  },
  datasets: {
    help: "Show the datasets, or delete one.",
    load: async () => (await import("./commands/datasets.ts")).datasets,
  },
  permissions: {
    help: "Show or change what campaigns may do with a dataset: nothing, until it is said.",
    load: async () => (await import("./commands/permissions.ts")).permissions,
  },
  start: {
    help: "Run the mine: read the chain, decide, train, submit, until it is stopped.",
    load: async () => (await import("./commands/start.ts")).start,
  },
  status: {
    help: "Show whether the mine runs, its address, and the work in hand. Needs no passphrase.",
    load: async () => (await import("./commands/status.ts")).status,
  },
  decisions: {
    help: "Show every decision with its reasons; answer those that wait for the owner.",
    load: async () => (await import("./commands/decisions.ts")).decisions,
  },
  earnings: {
    help: "Show what was earned, by campaign. Needs neither passphrase nor network.",
    load: async () => (await import("./commands/earnings.ts")).earnings,
  },
  withdraw: {
    help: "Have everything that Sonar owes to this mine paid to its wallet.",
    load: async () => (await import("./commands/withdraw.ts")).withdraw,
  },
  backup: {
    help: "Write everything that must not be lost into one encrypted file; the mine may be running.",
    load: () => delegated("backup"),
  },
  restore: {
    help: "Make a mine from a backup. Stop the old one for good first: they share a wallet.",
    load: () => delegated("restore"),
  },
};

async function delegated(name: string): Promise<Command> {
  const { delegate } = await import("./commands/delegate.ts");
  return (args) => delegate(name, args);
}

/** Run the command line; a foreseen failure is one clear message and exit code 1. */
export async function main(args: string[]): Promise<void> {
  const [name, ...rest] = args;
  try {
    if (name === undefined || name === "--help") {
      process.stdout.write(usage());
      if (name === undefined) process.exitCode = 2;
    } else if (name === "openapi") {
      const { OPENAPI_INDENTED } = await import("./generated/openapi.ts");
      process.stdout.write(`${OPENAPI_INDENTED}\n`);
    } else {
      const command = COMMANDS[name];
      if (command === undefined) throw new UsageError(`No such command '${name}'.`);
      if (rest.includes("--help")) process.stdout.write(`openmined-mine ${name}: ${command.help}\n`);
      else await (await command.load())(rest);
    }
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`Usage: openmined-mine COMMAND FOLDER [OPTIONS]\nError: ${error.message}\n`);
      process.exitCode = 2;
    } else if (error instanceof OpenMinedError) {
      const text = error.message.split("\n").map(printable).join("\n");
      process.stderr.write(`error: ${text}\n`);
      process.exitCode = 1;
    } else throw error;
  }
}

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { help }]) => `  ${name.padEnd(12)} ${help}`);
  return `Usage: openmined-mine COMMAND FOLDER [OPTIONS]\n\nRun a data owner's own server.\n\n${lines.join("\n")}\n`;
}
