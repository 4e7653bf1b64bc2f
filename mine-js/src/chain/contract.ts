/** One Sonar contract on one chain: the calls and views that a mine needs. */
import { createHash } from "node:crypto";
import type { LocalAccount } from "viem/accounts";
import { decodeFunctionResult, encodeFunctionData, getAddress } from "viem/utils";
import { ChainError, NoContract, UndecodableAnswer, WrongChain, WrongContract } from "../errors.ts";
import { SONAR_ABI, SONAR_CODE_SHA256 } from "../generated/sonar.ts";
import type { StoredEvent } from "../ledger.ts";
import { ETHER } from "../permissions.ts";
import type { MineSettings } from "../settings.ts";
import type { Hex } from "./answers.ts";
import { decodeLog, fetchLogs } from "./events.ts";
import { Rpc, RpcRefused, redactUrl } from "./rpc.ts";
import { asRevert, NotEnoughFunds, Sender } from "./sender.ts";

const DEVNETS = new Set([1337, 31337]);
/** Generous: submitting takes about 120,000. */
const GAS_OF_A_CALL = 500_000n;
const ERC20_ABI = [
  fn("balanceOf", ["address"]),
  fn("allowance", ["address", "address"]),
  fn("approve", ["address", "uint256"]),
];

function fn(name: string, inputs: string[]) {
  const given = inputs.map((type, index) => ({ name: `a${index}`, type }));
  const outputs = [{ name: "", type: "uint256" }];
  return { type: "function", name, inputs: given, outputs, stateMutability: "nonpayable" } as const;
}

export interface Submitted {
  gradient: number;
  transaction: string;
}

/** Connect to the contract that the settings name, and check that it is one. */
export async function connectContract(settings: MineSettings, account: LocalAccount): Promise<SonarContract> {
  const { rpc_url, chain_id, sonar } = settings.network;
  const rpc = new Rpc(rpc_url);
  const found = await rpc.count("eth_chainId");
  if (found !== chain_id) {
    throw new WrongChain(
      `${redactUrl(rpc_url)} serves chain ${found}, chain ${chain_id} was expected: ` +
        "correct rpc_url or chain_id of the network",
    );
  }
  const address = getAddress(sonar);
  await checkCode(rpc, address, found);
  const maxFee = BigInt(Math.trunc(settings.loop.max_fee_gwei * 1e9)) * GAS_OF_A_CALL;
  const pollMs = DEVNETS.has(found) ? 50 : 500;
  return new SonarContract(rpc, found, address, new Sender(rpc, found, account, maxFee, pollMs));
}

async function checkCode(rpc: Rpc, address: string, chainId: number): Promise<void> {
  const code = Buffer.from((await rpc.data("eth_getCode", address, "latest")).slice(2), "hex");
  if (code.length === 0) {
    throw new NoContract(
      `there is no contract at ${address} on chain ${chainId}: check the address, or deploy ` +
        "one with `openmined sonar deploy` (a devnet that was restarted has lost its contract)",
    );
  }
  if (createHash("sha256").update(code).digest("hex") !== SONAR_CODE_SHA256) {
    throw new WrongContract(
      `the code at ${address} on chain ${chainId} is not the Sonar contract of this version ` +
        "of openmined: check the address, or use the version that deployed it. Send no money to it",
    );
  }
}

export class SonarContract {
  readonly chainId: number;
  readonly address: Hex;
  readonly #rpc: Rpc;
  readonly #sender: Sender;

  constructor(rpc: Rpc, chainId: number, address: Hex, sender: Sender) {
    this.#rpc = rpc;
    this.chainId = chainId;
    this.address = address;
    this.#sender = sender;
  }

  /** Submit the digest of a gradient manifest, with the bond. Not idempotent. */
  async submitGradient(
    campaign: number,
    version: number,
    envelope: string,
    token: string,
    bond: bigint,
  ): Promise<Submitted> {
    const value = token === ETHER ? bond : 0n;
    if (token !== ETHER && bond > 0n) await this.#approve(getAddress(token), bond);
    const data = encodeFunctionData({
      abi: SONAR_ABI,
      functionName: "submit_gradient",
      args: [BigInt(campaign), BigInt(version), `0x${envelope}`],
    });
    const receipt = await this.#sender.send({ to: this.address, data, value });
    for (const log of receipt.logs) {
      const event = log.address.toLowerCase() === this.address.toLowerCase() ? decodeLog(log) : undefined;
      if (event?.name === "GradientSubmitted") {
        return { gradient: Number(event.arguments.gradient), transaction: receipt.transaction };
      }
    }
    throw new ChainError(
      "the transaction succeeded and its receipt shows no GradientSubmitted: " +
        "the node's answer cannot be trusted",
    );
  }

  /** Be paid one's whole credit in a token; return the transaction. */
  async withdraw(token: string): Promise<string> {
    const data = encodeFunctionData({
      abi: SONAR_ABI,
      functionName: "withdraw",
      args: [getAddress(token)],
    });
    return (await this.#sender.send({ to: this.address, data, value: 0n })).transaction;
  }

  /** Return how many gradients a campaign has had. */
  async gradientCount(campaign: number): Promise<number> {
    const data = encodeFunctionData({ abi: SONAR_ABI, functionName: "campaign", args: [BigInt(campaign)] });
    const answer = await this.#ask(this.address, data);
    try {
      const state = decodeFunctionResult({ abi: SONAR_ABI, functionName: "campaign", data: answer });
      return Number(state.gradients);
    } catch {
      throw undecodable("campaign", answer);
    }
  }

  async credit(token: string, account: string): Promise<bigint> {
    const args = [getAddress(token), getAddress(account)] as const;
    const data = encodeFunctionData({ abi: SONAR_ABI, functionName: "credit", args });
    return word("credit", await this.#ask(this.address, data));
  }

  /** Return what an account holds in a token (outside of Sonar). */
  async balance(account: string, token: string): Promise<bigint> {
    if (token === ETHER) {
      return this.#rpc.quantity("eth_getBalance", getAddress(account), "latest");
    }
    return this.#token(getAddress(token), "balanceOf", [getAddress(account)]);
  }

  /** Return number and hash of the newest block; its time measures deadlines, not our clock. */
  async head(): Promise<{ number: number; hash: string; timestamp: number }> {
    return this.#rpc.newest();
  }

  async blockHash(number: number): Promise<string | null> {
    return (await this.#rpc.block(number))?.hash ?? null;
  }

  async events(from: number, to: number): Promise<StoredEvent[]> {
    const logs = await fetchLogs(this.#rpc, this.address, from, to);
    return logs.map(decodeLog).filter((event) => event !== undefined);
  }

  /**
   * Count the account's transactions that the node knows and no block holds yet. While there are
   * any, one of them may be the submission that a kill interrupted.
   */
  async underWay(): Promise<number> {
    const { address } = this.#sender.account;
    const counts = [];
    for (const block of ["latest", "pending"]) {
      counts.push(await this.#rpc.count("eth_getTransactionCount", address, block));
    }
    return Math.max(0, (counts[1] ?? 0) - (counts[0] ?? 0));
  }

  async #approve(token: Hex, amount: bigint): Promise<void> {
    const owner = this.#sender.account.address;
    const have = await this.balance(owner, token);
    if (have < amount) throw new NotEnoughFunds(amount, have, owner, token);
    const allowed = await this.#token(token, "allowance", [owner, this.address]);
    if (allowed >= amount) return;
    // Some tokens (USDT) change an allowance only from or to zero.
    for (const step of allowed > 0n ? [0n, amount] : [amount]) {
      const args = [this.address, step];
      const data = encodeFunctionData({ abi: ERC20_ABI, functionName: "approve", args });
      await this.#sender.send({ to: token, data, value: 0n });
    }
  }

  async #token(token: Hex, functionName: "balanceOf" | "allowance", args: Hex[]): Promise<bigint> {
    const data = encodeFunctionData({ abi: ERC20_ABI, functionName, args });
    return word(functionName, await this.#ask(token, data));
  }

  async #ask(to: Hex, data: Hex): Promise<Hex> {
    try {
      return await this.#rpc.data("eth_call", { to, data }, "latest");
    } catch (error) {
      if (error instanceof RpcRefused) throw asRevert(error) ?? error;
      throw error;
    }
  }
}

/** Read the one number that a view returns. */
function word(name: string, answer: Hex): bigint {
  if (answer.length < 66) throw undecodable(name, answer);
  return BigInt(answer.slice(0, 66));
}

function undecodable(name: string, answer: Hex): UndecodableAnswer {
  const size = (answer.length - 2) / 2;
  return new UndecodableAnswer(`${size} bytes for ${name} cannot be read: is this the right contract?`);
}
