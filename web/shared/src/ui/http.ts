/** Calls to our own services: JSON, typed by the caller, failures as `ServiceError`. */

import { ServiceError } from "./explain";

const TIMEOUT_MS = 20_000;

export async function fetchJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  const headers = { Accept: "application/json", ...(init.headers as Record<string, string> | undefined) };
  const signal = init.signal ?? AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(path, { ...init, headers, signal });
  if (!answer.ok) throw new ServiceError(answer.status, await detailOf(answer));
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

async function detailOf(answer: Response): Promise<string> {
  try {
    return detailIn(await answer.json());
  } catch {
    return "";
  }
}

/** What went wrong, as a service says it: `detail` (RFC 9457), or a mine's `error.message`. */
export function detailIn(body: unknown): string {
  const { detail, error } = body as { detail?: unknown; error?: { message?: unknown } };
  const said = detail ?? error?.message;
  return typeof said === "string" ? said : "";
}
