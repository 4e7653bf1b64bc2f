/** Failures in words: what happened and what to do. Never markup, never a stack. */

export interface Explanation {
  readonly title: string;
  readonly advice: string;
}

/** An answer of one of our services that is no success (RFC 9457). */
export class ServiceError extends Error {
  override name = "ServiceError";
  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail);
  }
}

/** A failure whose text was written for people: shown as it is. */
export class Refusal extends Error {
  override name = "Refusal";
  constructor(
    readonly title: string,
    readonly advice: string,
  ) {
    super(`${title}: ${advice}`);
  }
}

const BY_STATUS: Readonly<Record<number, Explanation>> = {
  401: { title: "Your session has ended", advice: "Log in again: nothing you entered is lost." },
  403: { title: "This is not allowed", advice: "Open the page by the address that the program printed." },
  404: { title: "There is nothing here", advice: "It may have been removed, or the link is wrong." },
  413: { title: "That is too large", advice: "Choose a smaller file." },
  429: { title: "Too many requests", advice: "Wait a minute, then try again." },
  503: { title: "The service is busy", advice: "It will be back shortly; try again." },
};

export function explain(error: unknown): Explanation {
  if (error instanceof Refusal) return { title: error.title, advice: error.advice };
  if (error instanceof ServiceError) {
    const known = BY_STATUS[error.status];
    const detail = capitalised(clipped(error.detail));
    if (!known) return { title: `The service refused this (${error.status})`, advice: detail || "No reason was given." };
    return { title: known.title, advice: detail ? `${detail}. ${known.advice}` : known.advice };
  }
  if (error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError")) {
    return { title: "The service does not answer", advice: "See that it runs, and that this machine is connected; then try again." };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { title: "That did not work", advice: clipped(text) || "No reason was given; try again." };
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function clipped(text: string): string {
  const line = text.replace(/\s+/g, " ").trim().replace(/\.$/, "");
  return line.length <= 300 ? line : `${line.slice(0, 297)}...`;
}
