/**
 * Follows the contract's events through reorganisations and restarts of the chain.
 *
 * It remembers the hashes of blocks it has read up to. When one of them is no longer on the chain,
 * it goes back to the newest that still is, says so, and reads on from there.
 */
import { ChainError } from "../errors.ts";
import type { StoredEvent } from "../ledger.ts";
import type { SonarContract } from "./contract.ts";

const MAX_CHECKPOINTS = 64;
const MAX_BLOCKS = 50_000;
const ATTEMPTS = 5;

interface Checkpoint {
  number: number;
  hash: string;
}

interface CursorState {
  first_block: number;
  /** Oldest first. */
  checkpoints: Checkpoint[];
}

export interface Poll {
  events: StoredEvent[];
  /** Blocks above it were replaced: forget what came from them first. */
  rolledBackTo: number | null;
  /** Everything up to this block has now been read. */
  readTo: number;
  /** Store it in the same transaction as the events. */
  state: string;
}

export class EventCursor {
  readonly #contract: SonarContract;
  #state: CursorState;

  constructor(contract: SonarContract, fromBlock: number, saved: string | null) {
    this.#contract = contract;
    const fresh: CursorState = { first_block: fromBlock, checkpoints: [] };
    this.#state = saved === null ? fresh : (JSON.parse(saved) as CursorState);
  }

  /** Look at the chain once; never waits for a block. `accept` what was applied, to go on after it. */
  async poll(): Promise<Poll> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const found = await this.#look();
      if (found !== null) return found;
    }
    throw new ChainError("the chain was reorganised again and again while it was read: try later");
  }

  async #look(): Promise<Poll | null> {
    const kept = await this.#surviving();
    const seen = kept.at(-1)?.number ?? this.#state.first_block - 1;
    const rolledBackTo = kept.length < this.#state.checkpoints.length ? seen : null;
    const last = Math.min((await this.#contract.head()).number, seen + MAX_BLOCKS);
    if (last <= seen) return this.#found([], rolledBackTo, seen, kept);
    const before = await this.#contract.blockHash(last);
    const events = await this.#contract.events(seen + 1, last);
    // The same hash before and after: what lies between cannot have been replaced meanwhile.
    if (before === null || (await this.#contract.blockHash(last)) !== before) return null;
    if (events.some((event) => event.block === last && event.block_hash !== before)) return null;
    return this.#found(events, rolledBackTo, last, thin(kept, events, last, before));
  }

  #found(
    events: StoredEvent[],
    rolledBackTo: number | null,
    readTo: number,
    checkpoints: Checkpoint[],
  ): Poll {
    const state: CursorState = { first_block: this.#state.first_block, checkpoints };
    return { events, rolledBackTo, readTo, state: JSON.stringify(state) };
  }

  accept(poll: Poll): void {
    this.#state = JSON.parse(poll.state) as CursorState;
  }

  /** Return the checkpoints that are still on the chain: a prefix, the chain being one. */
  async #surviving(): Promise<Checkpoint[]> {
    const kept = [...this.#state.checkpoints];
    for (let last = kept.at(-1); last !== undefined; last = kept.at(-1)) {
      if ((await this.#contract.blockHash(last.number)) === last.hash) break;
      kept.pop();
    }
    return kept;
  }
}

function thin(kept: Checkpoint[], events: StoredEvent[], last: number, hash: string): Checkpoint[] {
  // Blocks with events are good places to go back to; the newest block is where we stand.
  const blocks = new Map(events.map((event) => [event.block, event.block_hash]));
  blocks.set(last, hash);
  const added = [...blocks].sort(([a], [b]) => a - b).map(([number, item]) => ({ number, hash: item }));
  const every = [...kept, ...added];
  if (every.length <= MAX_CHECKPOINTS) return every;
  // Keep the newest half as it is and every second of the older ones: distances grow backwards.
  const half = MAX_CHECKPOINTS / 2;
  let older = every.slice(0, -half);
  while (older.length > half) {
    older = [...older.slice(0, 1), ...older.slice(1).filter((_, index) => index % 2 === 1)];
  }
  return [...older, ...every.slice(-half)];
}
