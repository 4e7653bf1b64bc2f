/** Previews and imports for the API: previews answer at once, imports run beside. */
import { randomBytes } from "node:crypto";
import type { Door } from "../door.ts";
import { ImportRefused, OpenMinedError } from "../errors.ts";
import type { MineFolder } from "../folder.ts";
import type { ProgressLog } from "../progress.ts";
import type { Uploads } from "./uploads.ts";

const KEPT = 32;

export interface ImportBody {
  upload?: string | null;
  path?: string | null;
  adapter?: string | null;
  mapping?: Record<string, unknown> | null;
  table_schema?: object | null;
}

export interface ImportOrder extends ImportBody {
  dataset: string;
  identity: string[];
  strict: boolean;
}

export interface ImportState {
  id: string;
  dataset: string;
  state: "running" | "done" | "failed";
  rows_read: number;
  rows_added: number;
  rows_known: number;
  total: number;
  problems: number;
  first_problems: string[];
  message: string;
}

interface Report {
  imported: { rows_read: number; rows_added: number; rows_known: number; total: number };
  problems: number;
  first_problems: string[];
}

export class Imports {
  readonly #folder: MineFolder;
  readonly #identity: string;
  readonly #uploads: Uploads;
  readonly #log: ProgressLog;
  readonly #door: Door;
  readonly #states = new Map<string, ImportState>();

  constructor(folder: MineFolder, identity: string, uploads: Uploads, log: ProgressLog, door: Door) {
    this.#folder = folder;
    this.#identity = identity;
    this.#uploads = uploads;
    this.#log = log;
    this.#door = door;
  }

  /** Read the first rows of a source. */
  preview(body: ImportBody): Promise<Record<string, unknown>> {
    return this.#door.ask({ action: "preview", dataset: "preview", ...this.#request(body) });
  }

  /** Begin an import and return at once. */
  start(order: ImportOrder): ImportState {
    const state: ImportState = {
      id: randomBytes(8).toString("hex"),
      dataset: order.dataset,
      state: "running",
      rows_read: 0,
      rows_added: 0,
      rows_known: 0,
      total: 0,
      problems: 0,
      first_problems: [],
      message: "",
    };
    const request = this.#request(order);
    this.#keep(state);
    void this.#run(order, request, state);
    return state;
  }

  state(id: string): ImportState | undefined {
    return this.#states.get(id);
  }

  /** Return the imports of this run, the newest first. */
  states(): ImportState[] {
    return [...this.#states.values()].reverse();
  }

  async #run(order: ImportOrder, request: Record<string, unknown>, state: ImportState): Promise<void> {
    const asked = {
      action: "import",
      folder: this.#folder.path,
      identity: this.#identity,
      dataset: order.dataset,
      identity_fields: order.identity,
      strict: order.strict,
      ...request,
    };
    try {
      const answer = await this.#door.ask(asked, (_part, rows) => this.#keep({ ...state, rows_read: rows }));
      if (order.upload) this.#uploads.forget(order.upload);
      const { imported, problems, first_problems } = answer as unknown as Report;
      const { rows_read, rows_added, rows_known, total } = imported;
      const counts = { rows_read, rows_added, rows_known, total };
      this.#end({ ...state, ...counts, state: "done", problems, first_problems });
    } catch (error) {
      const foreseen = error instanceof OpenMinedError;
      const message = foreseen ? error.message.slice(0, 2000) : "the import failed";
      this.#end({ ...state, state: "failed", message });
    }
  }

  #end(state: ImportState): void {
    this.#keep(state);
    const { dataset, rows_added, total } = state;
    this.#log.say("imported", { dataset, state: state.state, rows_added, total });
  }

  #keep(state: ImportState): void {
    this.#states.set(state.id, state);
    for (const id of this.#states.keys()) {
      if (this.#states.size <= KEPT) break;
      this.#states.delete(id);
    }
  }

  #request(body: ImportBody): Record<string, unknown> {
    const { upload, path, adapter, mapping, table_schema } = body;
    if (!upload === !path) {
      throw new ImportRefused("give either an upload or a path on the mine's machine");
    }
    const source = path || this.#uploads.path(upload ?? "");
    const given = { source, adapter, mapping, table_schema };
    return Object.fromEntries(
      Object.entries(given).filter(([, item]) => item !== undefined && item !== null),
    );
  }
}
