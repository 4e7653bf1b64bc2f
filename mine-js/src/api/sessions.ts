/** Sessions of the owner: opened by the passphrase, closed by logging out or by time. */
import { createHash, randomBytes } from "node:crypto";
import { MineError, WrongPassphrase } from "../errors.ts";

export const COOKIE = "openmined_mine_session";
const MAX_SESSIONS = 16;
const MAX_FAILURES = 5;
const FAILURE_WINDOW_S = 300;

/** Wrong passphrases came too fast. */
export class TooManyAttempts extends MineError {
  readonly retryS: number;

  constructor(retryS: number) {
    super(
      `${MAX_FAILURES} wrong passphrases in ${FAILURE_WINDOW_S} s: ` +
        `wait ${retryS.toFixed(0)} s before the next`,
    );
    this.retryS = retryS;
  }
}

/** The request has no open session. */
export class NotLoggedIn extends MineError {}

/** There is nothing of that name or number. */
export class NotThere extends MineError {}

/**
 * Open sessions, in memory only: a restart of the mine ends them all. `check` throws WrongPassphrase
 * if a passphrase does not open the mine; it is slow on purpose, and never runs twice at once.
 */
export class Sessions {
  readonly #check: (passphrase: string) => Promise<unknown>;
  readonly #lifetimeS: number;
  readonly #clock: () => number;
  readonly #open = new Map<string, number>();
  #failures: number[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    check: (passphrase: string) => Promise<unknown>,
    lifetimeS: number,
    clock: () => number = () => performance.now() / 1000,
  ) {
    this.#check = check;
    this.#lifetimeS = lifetimeS;
    this.#clock = clock;
  }

  /** Open a session and return its token. */
  logIn(passphrase: string): Promise<string> {
    const work = this.#turn.then(() => this.#logIn(passphrase));
    this.#turn = work.catch(() => undefined);
    return work;
  }

  async #logIn(passphrase: string): Promise<string> {
    const now = this.#clock();
    this.#failures = this.#failures.filter((at) => at > now - FAILURE_WINDOW_S);
    const [first] = this.#failures;
    if (first !== undefined && this.#failures.length >= MAX_FAILURES) {
      throw new TooManyAttempts(first + FAILURE_WINDOW_S - now);
    }
    try {
      await this.#check(passphrase);
    } catch (error) {
      if (error instanceof WrongPassphrase) this.#failures.push(now);
      throw error;
    }
    this.#failures = [];
    this.#forgetOld();
    if (this.#open.size >= MAX_SESSIONS) {
      const [oldest] = [...this.#open].sort(([, a], [, b]) => a - b);
      if (oldest !== undefined) this.#open.delete(oldest[0]);
    }
    const token = randomBytes(32).toString("base64url");
    this.#open.set(keyOf(token), this.#clock() + this.#lifetimeS);
    return token;
  }

  /** Tell whether a token is of an open session, and keep the session open. */
  isOpen(token: string | undefined): boolean {
    if (token === undefined || token === "" || token.length > 100) return false;
    this.#forgetOld();
    const key = keyOf(token);
    if (!this.#open.has(key)) return false;
    this.#open.set(key, this.#clock() + this.#lifetimeS);
    return true;
  }

  /** End a session: its token is worth nothing from now on. */
  logOut(token: string | undefined): void {
    if (token !== undefined) this.#open.delete(keyOf(token));
  }

  #forgetOld(): void {
    const now = this.#clock();
    for (const [key, until] of this.#open) if (until <= now) this.#open.delete(key);
  }
}

function keyOf(token: string): string {
  // Looking up a hash takes no time that depends on the token, and memory holds no token.
  return createHash("sha256").update(token).digest("hex");
}
