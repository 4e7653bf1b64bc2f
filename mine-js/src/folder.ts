/** The mine's folder: what lies where, who may open it, and the lock that keeps it to one mine. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { LocalAccount } from "viem/accounts";
import {
  LIGHT_WORK_FACTOR,
  newIdentity,
  unwrapWithPassphrase,
  WORK_FACTOR,
  wrapWithPassphrase,
} from "./age.ts";
import { FolderError, MineExists, MineLocked, NotAMine, systemTextOf, WrongPassphrase } from "./errors.ts";
import { writePrivate } from "./files.ts";
import { Ledger } from "./ledger.ts";
import { loadSettings, type MineSettings, SETTINGS_FILE, saveSettings } from "./settings.ts";
import { cut, nowText } from "./text.ts";
import type { TomlTable } from "./toml.ts";
import { type Cost, createWallet, keystoreAddress, openWallet } from "./wallet.ts";

/** How long who wants the folder waits for others to finish looking whether it is taken. */
const LOOKS_PASS_MS = 2000;
export const PROGRAM = "openmined-mine (Node.js)";

/** What the passphrase opens. It is never written, logged or printed. */
export interface Secrets {
  readonly identity: string;
  readonly wallet: LocalAccount;
}

export class MineFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    if (!isFile(join(path, SETTINGS_FILE))) {
      throw new NotAMine(`${path} holds no mine: make one with \`openmined mine init ${path}\``);
    }
  }

  get walletPath(): string {
    return join(this.path, "wallet.json");
  }
  get datasets(): string {
    return join(this.path, "datasets");
  }
  get cache(): string {
    return join(this.path, "cache");
  }
  /** Statistics with noise that campaigns are answered from: made once, never again. */
  get releases(): string {
    return join(this.path, "releases");
  }
  get outbox(): string {
    return join(this.path, "outbox");
  }
  get logPath(): string {
    return join(this.path, "logs", "mine.jsonl");
  }
  /** The wallet's address, without the passphrase. */
  get address(): string {
    return keystoreAddress(this.walletPath);
  }

  settings(): MineSettings {
    return loadSettings(this.path);
  }

  ledger(): Ledger {
    return new Ledger(join(this.path, "ledger.sqlite"));
  }

  async unlock(passphrase: string): Promise<Secrets> {
    const wallet = openWallet(this.walletPath, passphrase);
    return { identity: await this.openIdentity(passphrase), wallet };
  }

  /** Open the identity alone: what the API needs to check a passphrase. */
  async openIdentity(passphrase: string): Promise<string> {
    let wrapped: Buffer;
    try {
      wrapped = readFileSync(join(this.path, "identity.age"));
    } catch (error) {
      throw new FolderError(
        `${this.path}/identity.age cannot be read (${systemTextOf(error)}): restore it from a backup`,
      );
    }
    return Buffer.from(await unwrapWithPassphrase(wrapped, passphrase)).toString("ascii");
  }
}

/** Make a mine: keys, ledger, settings. mine.toml is written last: with it the mine exists. */
export async function createMine(
  path: string,
  settings: TomlTable,
  passphrase: string,
  cost: Cost = "standard",
  keystore?: string,
): Promise<{ folder: MineFolder; address: string }> {
  if (existsSync(join(path, SETTINGS_FILE))) {
    throw new MineExists(`${path} holds a mine already; choose another folder`);
  }
  if ([...passphrase].length < 8) {
    throw new WrongPassphrase("a passphrase of fewer than 8 characters is refused: choose a longer");
  }
  for (const name of ["", "datasets", "cache", "releases", "outbox", "logs"]) {
    mkdirSync(join(path, name), { recursive: true, mode: 0o700 });
  }
  chmodSync(path, 0o700);
  const wallet = makeWallet(path, passphrase, cost, keystore);
  const { identity, recipient } = await newIdentity();
  const factor = cost === "standard" ? WORK_FACTOR : LIGHT_WORK_FACTOR;
  const wrapped = await wrapWithPassphrase(Buffer.from(identity), passphrase, factor);
  writePrivate(join(path, "identity.age"), wrapped);
  writePrivate(join(path, "recipient.txt"), `${recipient}\n`);
  const ledger = join(path, "ledger.sqlite");
  for (const suffix of ["", "-wal", "-shm"]) rmSync(ledger + suffix, { force: true });
  new Ledger(ledger, true).close();
  chmodSync(ledger, 0o600);
  saveSettings(path, settings);
  return { folder: new MineFolder(path), address: wallet.address };
}

function makeWallet(path: string, passphrase: string, cost: Cost, keystore?: string): LocalAccount {
  const place = join(path, "wallet.json");
  if (keystore !== undefined) {
    copyFileSync(keystore, place);
    chmodSync(place, 0o600);
  }
  return existsSync(place) ? openWallet(place, passphrase) : createWallet(place, passphrase, cost);
}

/**
 * Keeps a folder to one mine: an exclusive transaction on lock.sqlite, held while it runs.
 *
 * The kernel lets go of it when the process ends, however it ends.
 */
export class FolderLock {
  readonly #db: DatabaseSync;
  readonly #about: string;

  constructor(folder: string) {
    this.#about = join(folder, "running.json");
    this.#db = openLock(folder, LOOKS_PASS_MS);
    try {
      this.#db.exec("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;");
    } catch {
      this.#db.close();
      throw new MineLocked(`${folder} is in use by another mine${holder(this.#about)}: stop that one first`);
    }
    const about = { pid: process.pid, program: PROGRAM, since: nowText() };
    writePrivate(this.#about, JSON.stringify(about));
  }

  release(): void {
    rmSync(this.#about, { force: true });
    this.#db.close();
  }
}

/** Tell whether a mine runs on the folder. */
export function isRunning(folder: string): boolean {
  const db = openLock(folder, 0);
  try {
    // A reader's lock: two who look at the same time do not take each other for the mine.
    db.exec("SELECT count(*) FROM sqlite_schema");
    return false;
  } catch {
    return true;
  } finally {
    db.close();
  }
}

function openLock(folder: string, patienceMs: number): DatabaseSync {
  const path = join(folder, "lock.sqlite");
  // Only when it is missing: closing a file lets go of every lock that this process has on it.
  if (!isFile(path)) closeSync(openSync(path, "a", 0o600));
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA busy_timeout = ${patienceMs}`);
  return db;
}

function holder(about: string): string {
  try {
    const value = JSON.parse(readFileSync(about, "utf8")) as { program: string; pid: number };
    return ` (${cut(String(value.program), 60)}, process ${Math.trunc(value.pid)})`;
  } catch {
    return "";
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
