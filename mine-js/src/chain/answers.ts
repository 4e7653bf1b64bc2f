/** What a node answers, checked: a number is a number, a block has a hash. Nothing else goes in. */
import { UndecodableAnswer } from "../errors.ts";
import { isObject, repr } from "../text.ts";

export type Hex = `0x${string}`;

/** What is looked at of a block. `baseFee` is undefined before EIP-1559. */
export interface Block {
  readonly number: number;
  readonly hash: string;
  readonly timestamp: number;
  readonly baseFee: bigint | undefined;
}

/** One log, as the node tells it; its address and block have been checked to be what was asked. */
export interface RawLog {
  readonly address: string;
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly transactionHash: string;
  readonly logIndex: number;
}

/** What is looked at of a receipt. */
export interface Receipt {
  readonly transaction: string;
  readonly succeeded: boolean;
  readonly logs: readonly RawLog[];
}

/** Read a number as JSON-RPC writes it: hexadecimal text. */
export function readQuantity(value: unknown, what: string): bigint {
  if (typeof value === "string" && /^0x[0-9a-fA-F]{1,64}$/.test(value)) return BigInt(value);
  throw new UndecodableAnswer(`the node's ${what} is no number: ${shown(value, 60)}`);
}

/** Read a number that counts something. */
export function readCount(value: unknown, what: string): number {
  const found = Number(readQuantity(value, what));
  if (Number.isSafeInteger(found)) return found;
  throw new UndecodableAnswer(`the node's ${what} is no number: ${shown(value, 60)}`);
}

/** Read bytes as JSON-RPC writes them. */
export function readData(value: unknown, what: string): Hex {
  if (typeof value === "string" && /^0x([0-9a-fA-F]{2})*$/.test(value)) return value as Hex;
  throw new UndecodableAnswer(`the node's ${what} is no hexadecimal text: ${shown(value, 60)}`);
}

/** Read a 32-byte hash, lower case. */
export function readHash(value: unknown, what: string): Hex {
  const found = readData(value, what);
  if (found.length === 66) return found.toLowerCase() as Hex;
  throw new UndecodableAnswer(`the node's ${what} is no hash: ${shown(value, 80)}`);
}

export function readBlock(value: unknown, what: string): Block {
  const found = readObject(value, what);
  const base = found.baseFeePerGas;
  return {
    number: readCount(found.number, "block number"),
    hash: readHash(found.hash, "block hash"),
    timestamp: readCount(found.timestamp, "timestamp"),
    baseFee: base === undefined || base === null ? undefined : readQuantity(base, "base fee"),
  };
}

/** Read a receipt; null while the transaction is not mined. */
export function readReceipt(value: unknown, what: string): Receipt | null {
  if (value === null || (isObject(value) && (value.blockNumber ?? null) === null)) return null;
  const found = readObject(value, what);
  const logs = found.logs;
  if (!Array.isArray(logs)) {
    throw new UndecodableAnswer(`the node's ${what} has no logs: use another node`);
  }
  return {
    transaction: readHash(found.transactionHash, "transaction hash"),
    succeeded: readQuantity(found.status, "status") === 1n,
    logs: logs.map(readLog),
  };
}

export function readLog(value: unknown): RawLog {
  const found = readObject(value, "log");
  const topics = found.topics;
  if (!Array.isArray(topics)) throw new UndecodableAnswer("the node's log has no topics: use another node");
  return {
    address: readData(found.address, "address"),
    topics: topics.map((topic) => readHash(topic, "topic")),
    data: readData(found.data, "data of a log"),
    blockNumber: readCount(found.blockNumber, "block number"),
    blockHash: readHash(found.blockHash, "block hash"),
    transactionHash: readHash(found.transactionHash, "transaction hash"),
    logIndex: readCount(found.logIndex, "log index"),
  };
}

function readObject(value: unknown, what: string): Record<string, unknown> {
  if (isObject(value)) return value as Record<string, unknown>;
  throw new UndecodableAnswer(`the node's ${what} is no object: ${shown(value, 60)}`);
}

function shown(value: unknown, limit: number): string {
  return repr((typeof value === "string" ? value : repr(value)).slice(0, limit));
}
