/**
 * Around every request: who may ask (Host, Origin), how much, and headers of every answer.
 *
 * A page of another site that the owner visits can send requests here (cross-site request forgery)
 * and, by pointing its own name at 127.0.0.1, even read answers (DNS rebinding). So a request is
 * answered only under a name that the owner gave, and only from pages that this mine served.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

export const MAX_BODY_BYTES = 1 << 20;
const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"];
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const SAFE: Record<string, string> = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
};

/** Put the headers of every answer on this one. */
export function setSafeHeaders(response: ServerResponse, path: string): void {
  for (const [name, value] of Object.entries(SAFE)) response.setHeader(name, value);
  const live = path.startsWith("/api/") || path.startsWith("/metrics");
  response.setHeader("cache-control", live ? "no-store" : "no-cache");
}

/** Say why a request is refused; undefined if it may pass. */
export function foreignness(request: IncomingMessage, names: readonly string[]): string | undefined {
  const host = (request.headers.host ?? "").toLowerCase();
  if (![...LOOPBACK_NAMES, ...names.map((name) => name.toLowerCase())].includes(nameOf(host))) {
    return "this mine does not answer under that host name: see api.allowed_hosts";
  }
  const { origin } = request.headers;
  if (origin !== undefined && originHost(origin) !== host) {
    return "a page of another origin may not ask this mine anything";
  }
  if (!["none", "same-origin"].includes(String(request.headers["sec-fetch-site"] ?? "none"))) {
    return "a page of another site may not ask this mine anything";
  }
  return undefined;
}

function nameOf(host: string): string {
  if (host.startsWith("[")) return `${host.split("]")[0]}]`;
  return host.split(":")[0] ?? "";
}

function originHost(origin: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(origin)?.[1]?.toLowerCase() ?? "";
}
