/**
 * Sends transactions of the mine's account and sees each through to its receipt.
 *
 * A call that would revert is not signed; a fee above the cap is not signed; what is dropped is sent
 * again; what has become too cheap is signed again with the same nonce. Only the mine that holds the
 * folder's lock sends with its key.
 */
import type { LocalAccount } from "viem/accounts";
import { decodeErrorResult, keccak256 } from "viem/utils";
import {
  ChainError,
  ChainRestarted,
  FeeAboveCap,
  TransactionError,
  TransactionLost,
  TransactionPending,
} from "../errors.ts";
import { ADVICE } from "../generated/sonar.ts";
import { formatWei } from "../text.ts";
import { type Hex, type Receipt, readQuantity } from "./answers.ts";
import { type Rpc, RpcRefused, shorten } from "./rpc.ts";

export interface Call {
  to: Hex;
  data: Hex;
  value: bigint;
}

interface Quote {
  gas: bigint;
  maxFee: bigint;
  tip: bigint;
}

interface Sent {
  nonce: number;
  quote: Quote;
  raw: Hex;
  hashes: Hex[];
  at: number;
}

/** The account cannot pay. */
export class NotEnoughFunds extends TransactionError {
  constructor(need: bigint, have: bigint, address: string, token: string | null = null) {
    const amounts =
      token === null
        ? `${formatWei(need)} (${need} wei), ${formatWei(have)} (${have} wei)`
        : `${need} units of token ${token}, ${have}`;
    super(`${address} needs ${amounts} are there: send it at least ${need - have} more and run again`);
  }
}

/** The contract refused the call; nothing was changed and nothing but gas was spent. */
export class Reverted extends TransactionError {
  readonly reason: string;

  constructor(reason: string, transaction: string | null = null) {
    const short = shorten(reason);
    const advice = ADVICE[short];
    const where = transaction === null ? "" : ` (transaction ${transaction})`;
    const text = short === "" ? "the call reverted without a reason" : short;
    super(text + where + (advice === undefined ? "" : `: ${advice}`));
    this.reason = short;
  }
}

const ATTEMPTS = 8;
const TIMEOUT_MS = 180_000;
const RAISE_AFTER_MS = 45_000;
const KNOWN = ["already known", "known transaction", "already imported", "alreadyexists"];
const NONCE_TAKEN = ["nonce too low", "nonce is too low", "invalid nonce", "underpriced", "nonce too"];

export class Sender {
  readonly account: LocalAccount;
  readonly #rpc: Rpc;
  readonly #chainId: number;
  readonly #maxFeeWei: bigint;
  readonly #pollMs: number;
  #genesis: string | undefined;
  #simulateOn = "pending";

  constructor(rpc: Rpc, chainId: number, account: LocalAccount, maxFeeWei: bigint, pollMs: number) {
    this.#rpc = rpc;
    this.#chainId = chainId;
    this.account = account;
    this.#maxFeeWei = maxFeeWei;
    this.#pollMs = pollMs;
  }

  /** Simulate, price, sign, send and await; return the receipt. */
  async send(call: Call): Promise<Receipt> {
    await this.#checkFunds(call.value);
    await this.#dry("eth_call", call);
    const quote = await this.#quote(call);
    return this.#await(call, await this.#submit(call, quote));
  }

  async #quote(call: Call): Promise<Quote> {
    const gas = (readQuantity(await this.#dry("eth_estimateGas", call), "eth_estimateGas") * 5n) / 4n;
    const quote = { gas, ...(await this.#prices()) };
    const fee = gas * quote.maxFee;
    if (fee > this.#maxFeeWei) {
      throw new FeeAboveCap(
        `the transaction could cost ${formatWei(fee)} (${gas} gas at up to ${quote.maxFee} wei)` +
          `, the cap is ${formatWei(this.#maxFeeWei)}: wait until gas is cheaper, or raise max_fee_wei`,
      );
    }
    await this.#checkFunds(call.value + fee);
    return quote;
  }

  async #dry(method: string, call: Call): Promise<unknown> {
    const request = {
      from: this.account.address,
      to: call.to,
      data: call.data,
      value: `0x${call.value.toString(16)}`,
    };
    try {
      return await this.#rpc.call<unknown>(method, request, this.#simulateOn);
    } catch (error) {
      if (!(error instanceof RpcRefused)) throw error;
      const reverted = asRevert(error);
      if (reverted === null && error.said.toLowerCase().includes(this.#simulateOn)) {
        // Some nodes keep no pending state.
        this.#simulateOn = "latest";
        return this.#dry(method, call);
      }
      throw reverted ?? error;
    }
  }

  async #prices(): Promise<{ maxFee: bigint; tip: bigint }> {
    const { baseFee } = await this.#rpc.newest();
    if (baseFee === undefined) {
      throw new ChainError(`chain ${this.#chainId} has no base fee: a chain with EIP-1559 is needed`);
    }
    let tip = 10n ** 9n;
    try {
      tip = await this.#rpc.quantity("eth_maxPriorityFeePerGas");
    } catch (error) {
      if (!(error instanceof RpcRefused)) throw error;
    }
    return { maxFee: 2n * baseFee + tip, tip };
  }

  async #checkFunds(need: bigint): Promise<void> {
    const { address } = this.account;
    const have = await this.#rpc.quantity("eth_getBalance", address, "latest");
    if (have < need) throw new NotEnoughFunds(need, have, address);
  }

  async #submit(call: Call, quote: Quote): Promise<Sent> {
    this.#genesis ??= await this.#genesisHash();
    const taken = new Set<number>();
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      let nonce = await this.#count("pending");
      while (taken.has(nonce)) nonce += 1;
      const { raw, hash } = await this.#sign(call, quote, nonce);
      if (await this.#broadcast(raw, hash)) {
        return { nonce, quote, raw, hashes: [hash], at: performance.now() };
      }
      // The node's pending count lags behind its pool: after a few looks, go past it.
      if (attempt >= ATTEMPTS / 2) taken.add(nonce);
    }
    throw new ChainError(
      `the node refuses every nonce of ${this.account.address}: its view of the account ` +
        "is inconsistent. Use another node, or wait until it has caught up",
    );
  }

  #count(block: string): Promise<number> {
    return this.#rpc.count("eth_getTransactionCount", this.account.address, block);
  }

  async #sign(call: Call, quote: Quote, nonce: number): Promise<{ raw: Hex; hash: Hex }> {
    const raw = await this.account.signTransaction({
      type: "eip1559",
      chainId: this.#chainId,
      nonce,
      maxFeePerGas: quote.maxFee,
      maxPriorityFeePerGas: quote.tip,
      gas: quote.gas,
      to: call.to,
      value: call.value,
      data: call.data,
    });
    return { raw, hash: keccak256(raw) };
  }

  /** Hand the bytes to the node; false if another transaction has their nonce. */
  async #broadcast(raw: Hex, hash: Hex): Promise<boolean> {
    try {
      await this.#rpc.call("eth_sendRawTransaction", raw);
      return true;
    } catch (error) {
      if (!(error instanceof RpcRefused)) throw error;
      const text = error.said.toLowerCase();
      if (KNOWN.some((sign) => text.includes(sign))) return true;
      // When the answer to a first attempt was lost, it may be taken by these very bytes.
      if (NONCE_TAKEN.some((sign) => text.includes(sign))) return this.#isKnown(hash);
      throw asRevert(error) ?? error;
    }
  }

  async #isKnown(hash: Hex): Promise<boolean> {
    for (let look = 0; look < ATTEMPTS; look += 1) {
      if ((await this.#rpc.call<unknown>("eth_getTransactionByHash", hash)) !== null) return true;
      await this.#pause();
    }
    return false;
  }

  async #await(call: Call, first: Sent): Promise<Receipt> {
    const start = performance.now();
    let looked = start;
    let sent = first;
    for (;;) {
      const found = await this.#findReceipt(sent);
      if (found !== null) return this.#judge(call, found);
      const now = performance.now();
      const hash = sent.hashes.at(-1);
      if (now - start > TIMEOUT_MS) {
        throw new TransactionPending(
          `transaction ${hash} (nonce ${sent.nonce}) was not mined within ` +
            `${Math.round((now - start) / 1000)} s; it may still be. Run again later: what it did will be ` +
            "found on the chain, and a fee that has become too low will be raised",
        );
      }
      if (now - looked > Math.max(10 * this.#pollMs, 500)) {
        looked = now;
        sent = await this.#lookAfter(call, sent);
      }
      await this.#pause();
    }
  }

  async #findReceipt(sent: Sent): Promise<Receipt | null> {
    for (const hash of sent.hashes) {
      const found = await this.#rpc.receipt(hash);
      if (found !== null) return found;
    }
    return null;
  }

  /** See to a transaction that is not mined yet: resend, raise its fee, or give it up. */
  async #lookAfter(call: Call, sent: Sent): Promise<Sent> {
    const code = await this.#rpc.data("eth_getCode", call.to, "latest");
    // Never again to a chain without the contract: there its money would be lost.
    if ((await this.#genesisHash()) !== this.#genesis || code === "0x") {
      throw new ChainRestarted(
        `chain ${this.#chainId} was restarted while a transaction was on its way: what was sent ` +
          "before is gone with the old chain. Deploy and launch again",
      );
    }
    if ((await this.#count("latest")) > sent.nonce) {
      // Its nonce is used up. Its own receipt may only now have become visible.
      if ((await this.#findReceipt(sent)) !== null) return sent;
      throw new TransactionLost(
        `transaction ${sent.hashes.at(-1)} (nonce ${sent.nonce}) is lost: another transaction of ` +
          "the account was mined. Look at the chain for what did happen, then run again",
      );
    }
    if (performance.now() - sent.at > RAISE_AFTER_MS) return this.#raiseFee(call, sent);
    const hash = sent.hashes.at(-1) ?? "0x";
    if ((await this.#rpc.call<unknown>("eth_getTransactionByHash", hash)) === null) {
      await this.#broadcast(sent.raw, hash);
    }
    return sent;
  }

  async #raiseFee(call: Call, sent: Sent): Promise<Sent> {
    const { maxFee, tip } = await this.#prices();
    // Nodes ask for ten percent more on both prices before they replace a transaction.
    const more = (old: bigint, found: bigint) => (found > (old * 9n) / 8n ? found : (old * 9n) / 8n + 1n);
    const quote = { ...sent.quote, maxFee: more(sent.quote.maxFee, maxFee), tip: more(sent.quote.tip, tip) };
    const waiting = { ...sent, at: performance.now() };
    if (quote.gas * quote.maxFee > this.#maxFeeWei) {
      await this.#broadcast(sent.raw, sent.hashes.at(-1) ?? "0x");
      return waiting;
    }
    const { raw, hash } = await this.#sign(call, quote, sent.nonce);
    if (!(await this.#broadcast(raw, hash))) return waiting;
    return { ...waiting, quote, raw, hashes: [...sent.hashes, hash] };
  }

  async #judge(call: Call, found: Receipt): Promise<Receipt> {
    if (found.succeeded) return found;
    // It was sound when simulated, and the state changed before it was mined.
    try {
      await this.#dry("eth_call", call);
    } catch (error) {
      if (error instanceof Reverted) throw new Reverted(error.reason, found.transaction);
      throw error;
    }
    throw new Reverted("", found.transaction);
  }

  async #genesisHash(): Promise<string> {
    return (await this.#rpc.block(0))?.hash ?? "";
  }

  #pause(): Promise<void> {
    return new Promise((done) => setTimeout(done, this.#pollMs));
  }
}

/** Read a node's refusal as the contract's; null if it is something else. */
export function asRevert(refusal: RpcRefused): Reverted | null {
  if (refusal.data.length > 2) {
    try {
      const { errorName, args } = decodeErrorResult({ data: refusal.data });
      if (errorName === "Error") return new Reverted(String(args[0]));
    } catch {
      // Not the encoding of a reason: the text below may hold it.
    }
  }
  const text = refusal.said;
  if (!text.toLowerCase().includes("revert") && refusal.code !== 3) return null;
  const at = text.indexOf("Sonar: ");
  return new Reverted(at < 0 ? "" : text.slice(at).replace(/^[ '"]+|[ '"]+$/g, ""));
}
