/** Put a mine together and run it: the one place where chain, store and folder are wired. */
import { connectContract } from "./chain/contract.ts";
import { Cancelled, Door } from "./door.ts";
import { FolderLock, type MineFolder, type Secrets } from "./folder.ts";
import { MineLoop } from "./loop.ts";
import { type Listener, ProgressLog } from "./progress.ts";
import { Store } from "./store/store.ts";

export interface RunOptions {
  listener?: Listener;
  /** One pass, then stop. */
  once?: boolean;
  /** Called at each named step; tests kill the mine there. */
  atStep?: (step: string) => void;
}

/** Run a mine until it is told to stop (SIGINT or SIGTERM), or for one pass. */
export async function runMine(folder: MineFolder, secrets: Secrets, options: RunOptions = {}): Promise<void> {
  process.umask(0o077);
  const settings = folder.settings();
  const log = new ProgressLog(folder.logPath, settings.name, options.listener);
  const lock = new FolderLock(folder.path);
  const stop = new AbortController();
  const door = new Door();
  const end = () => {
    stop.abort();
    door.close();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
  log.say("started", { address: secrets.wallet.address, pid: process.pid });
  let api: { stop: () => Promise<void> } | undefined;
  const ledger = folder.ledger();
  try {
    if (settings.api.enabled) {
      const { startApi } = await import("./api/process.ts");
      const started = await startApi(folder, secrets);
      api = started;
      log.say("serving", { url: started.url });
    }
    const { network } = settings;
    const contract = await connectContract(settings, secrets.wallet);
    const store = new Store(network.store_url, network.gateway_url);
    const atStep = options.atStep ?? (() => undefined);
    const world = { folder, secrets, ledger, contract, store, door, log, settings, atStep };
    const loop = new MineLoop(world);
    if (options.once) await loop.runOnce(stop.signal);
    else await loop.run(stop.signal);
  } catch (error) {
    // Told to stop in the middle: the next start goes on.
    if (!(error instanceof Cancelled && stop.signal.aborted)) throw error;
  } finally {
    door.close();
    await api?.stop();
    ledger.close();
    log.say("stopped");
    log.close();
    lock.release();
  }
}
