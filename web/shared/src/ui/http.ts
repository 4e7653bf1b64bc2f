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
    const body = (await answer.json()) as { detail?: unknown };
    return typeof body.detail === "string" ? body.detail : "";
  } catch {
    return "";
  }
}
