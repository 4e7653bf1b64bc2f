/** The API's process: a child of the mine that ends with it, and holds no wallet. */
import { type ChildProcess, fork } from "node:child_process";
import { ApiError } from "../errors.ts";
import type { MineFolder, Secrets } from "../folder.ts";

export interface ApiProcess {
  readonly url: string;
  stop: () => Promise<void>;
}

/** Start it; its secrets go by the channel between the two, which is its lifeline as well. */
export async function startApi(folder: MineFolder, secrets: Secrets): Promise<ApiProcess> {
  const child = fork(new URL("./child.js", import.meta.url), {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    detached: false,
  });
  const { address } = secrets.wallet;
  child.send({ folder: folder.path, identity: secrets.identity, address });
  const answer = await firstMessage(child);
  if (answer.url === undefined) throw new ApiError(answer.error ?? "the local API ended at its start");
  return { url: answer.url, stop: () => stopChild(child) };
}

function firstMessage(child: ChildProcess): Promise<{ url?: string; error?: string }> {
  return new Promise((resolve) => {
    child.once("message", (message) => resolve(message as { url?: string; error?: string }));
    child.once("exit", () => resolve({}));
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  await ended;
}
