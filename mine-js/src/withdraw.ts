/** Paying out: requests in the ledger, so that only the running mine ever sends transactions. */
import type { SonarContract } from "./chain/contract.ts";
import { connectContract } from "./chain/contract.ts";
import { MineError, OpenMinedError } from "./errors.ts";
import { FolderLock, isRunning, type MineFolder } from "./folder.ts";
import type { Ledger, Withdrawal } from "./ledger.ts";
import { ETHER } from "./permissions.ts";
import { ProgressLog } from "./progress.ts";

const LOOK_MS = 100;

/** Carry out what was asked. `withdraw` pays the whole credit, so that twice is once. */
export async function payOut(
  ledger: Ledger,
  contract: SonarContract,
  address: string,
  log: ProgressLog,
): Promise<void> {
  for (const request of ledger.withdrawals().reverse()) {
    if (request.state === "asked" || request.state === "sending") {
      await pay(ledger, contract, address, request, log);
    }
  }
}

async function pay(
  ledger: Ledger,
  contract: SonarContract,
  address: string,
  request: Withdrawal,
  log: ProgressLog,
): Promise<void> {
  const { id, token } = request;
  const credit = await contract.credit(token, address);
  if (credit === 0n) {
    // Killed after it was sent: the credit is gone, so it was paid.
    if (request.state === "sending") ledger.updateWithdrawal(id, "done");
    else ledger.updateWithdrawal(id, "failed", { problem: "there is nothing to withdraw" });
    return;
  }
  ledger.updateWithdrawal(id, "sending", { amount: credit });
  try {
    const tx = await contract.withdraw(token);
    ledger.updateWithdrawal(id, "done", { tx });
    log.say("withdrawn", { token, amount_wei: credit.toString(), tx });
  } catch (error) {
    if (!(error instanceof OpenMinedError)) throw error;
    ledger.updateWithdrawal(id, "failed", { problem: error.message.slice(0, 400) });
    log.say("problem", { text: `withdrawing: ${error.message}` });
  }
}

/** Ask for a withdrawal and see it through: by the running mine, or by this process without one. */
export async function withdrawNow(
  folder: MineFolder,
  token: string | undefined,
  waitS: number,
  passphrase: () => Promise<string>,
): Promise<Withdrawal> {
  const ledger = folder.ledger();
  try {
    const asked = ledger.askWithdrawal((token ?? ETHER).toLowerCase());
    if (!isRunning(folder.path)) await alone(folder, passphrase);
    const until = performance.now() + waitS * 1000;
    for (;;) {
      const found = ledger.withdrawals().find((item) => item.id === asked.id);
      if (found?.state === "done") return found;
      if (found?.state === "failed") throw new MineError(`nothing was paid out: ${found.problem}`);
      if (performance.now() > until) {
        throw new MineError(
          `the running mine did not pay out within ${waitS} s; the request stays: see its log`,
        );
      }
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  } finally {
    ledger.close();
  }
}

async function alone(folder: MineFolder, passphrase: () => Promise<string>): Promise<void> {
  const secrets = await folder.unlock(await passphrase());
  const settings = folder.settings();
  const lock = new FolderLock(folder.path);
  const ledger = folder.ledger();
  const log = new ProgressLog(folder.logPath, settings.name);
  try {
    const contract = await connectContract(settings, secrets.wallet);
    await payOut(ledger, contract, secrets.wallet.address, log);
  } finally {
    ledger.close();
    log.close();
    lock.release();
  }
}
