/** The application: routing, sessions, bodies, errors, the user interface, and the shield around all. */
import { createReadStream, existsSync, statSync } from "node:fs";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import type { Door } from "../door.ts";
import { DatasetError, FolderError, OpenMinedError, UnknownDataset, WrongPassphrase } from "../errors.ts";
import type { MineFolder } from "../folder.ts";
import { OPENAPI_COMPACT } from "../generated/openapi.ts";
import { MANIFEST_RULES } from "../manifests.ts";
import { permissionRule } from "../permissions.ts";
import { check, type Schema, Violation } from "../schema.ts";
import type { Imports } from "./imports.ts";
import { ROUTES, type Route } from "./routes.ts";
import { COOKIE, NotLoggedIn, NotThere, type Sessions, TooManyAttempts } from "./sessions.ts";
import { foreignness, MAX_BODY_BYTES, setSafeHeaders } from "./shield.ts";
import { UPLOAD_BYTES, type Uploads } from "./uploads.ts";

/** The mine behind the API. */
export interface Context {
  readonly folder: MineFolder;
  readonly address: string;
  readonly sessions: Sessions;
  readonly uploads: Uploads;
  readonly imports: Imports;
  readonly door: Door;
  /** Host names under which the owner reaches it, besides localhost. */
  readonly names: readonly string[];
}

/** What a route is given. */
export interface Asked {
  readonly context: Context;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly parameters: Record<string, string>;
  readonly query: URLSearchParams;
  readonly token: string | undefined;
  readonly body: unknown;
}

class HttpProblem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const DOCUMENT = JSON.parse(OPENAPI_COMPACT) as Schema;
const RULES = { ...MANIFEST_RULES, DatasetPermission: permissionRule };
const HERE = fileURLToPath(new URL(".", import.meta.url));
const INTERFACES = ["../../static", "../../../src/openmined/mine/_static"].map((path) => join(HERE, path));
const UPLOADS_PATH = "/api/v1/uploads";
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/vnd.microsoft.icon",
  ".woff2": "font/woff2",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
};

/** Return what answers requests. */
export function listener(context: Context): RequestListener {
  return (request, response) => {
    answer(context, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendProblem(response, error);
    });
  };
}

async function answer(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://localhost");
  setSafeHeaders(response, url.pathname);
  const foreign = foreignness(request, context.names);
  if (foreign !== undefined) throw new HttpProblem(403, "foreign", foreign);
  const limit = url.pathname === UPLOADS_PATH ? UPLOAD_BYTES + MAX_BODY_BYTES : MAX_BODY_BYTES;
  const declared = request.headers["content-length"] ?? "0";
  if (!/^\d+$/.test(declared) || Number(declared) > limit) throw tooLarge(limit);
  const token = cookieOf(request);
  const method = request.method ?? "GET";
  if (method === "GET" && url.pathname === "/api/v1/openapi.json") {
    return send(response, 200, "application/json", OPENAPI_COMPACT);
  }
  const path = decoded(url.pathname);
  const [route, parameters] = find(method, path);
  if (route === undefined) return serveInterface(method, path, response);
  if (!route.open && !context.sessions.isOpen(token)) {
    throw new NotLoggedIn("log in first, with the mine's passphrase");
  }
  checkParameters("path", route.parameters, parameters);
  checkParameters("header", route.headers, request.headers);
  const body = route.body === undefined ? undefined : await readBody(request, route.body, limit);
  const asked: Asked = { context, request, response, parameters, query: url.searchParams, token, body };
  const found = await route.answer(asked);
  if (response.writableEnded || response.headersSent) return;
  if (found === undefined) response.writeHead(route.status ?? 200).end();
  else send(response, route.status ?? 200, "application/json", JSON.stringify(found, amounts));
}

function amounts(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

function find(method: string, path: string): [Route | undefined, Record<string, string>] {
  for (const route of ROUTES) {
    const match = route.method === method ? route.path.exec(path) : null;
    if (match === null) continue;
    return [route, { ...match.groups }];
  }
  return [undefined, {}];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function checkParameters(
  place: string,
  schemas: Record<string, Schema> = {},
  parameters: Record<string, unknown>,
): void {
  for (const [name, schema] of Object.entries(schemas)) {
    try {
      if (parameters[name] === undefined) throw new Violation([name], "Field required", undefined);
      check(parameters[name], schema);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      throw new HttpProblem(422, "senseless", `${place}.${name}: ${error.rule}`);
    }
  }
}

async function readBody(request: IncomingMessage, schema: string, limit: number): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += (part as Buffer).length;
    if (size > limit) throw tooLarge(limit);
    parts.push(part as Buffer);
  }
  if (size === 0) throw new HttpProblem(422, "senseless", "body: Field required");
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
  } catch {
    throw new HttpProblem(422, "senseless", "body: JSON decode error");
  }
  try {
    return check(value, { $ref: `#/components/schemas/${schema}` }, RULES, DOCUMENT, true);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    // Only the place and the rule: what was sent may be a passphrase.
    throw new HttpProblem(422, "senseless", `${error.path.join(".") || "body"}: ${error.rule}`);
  }
}

function tooLarge(limit: number): HttpProblem {
  return new HttpProblem(413, "too-large", `a body of more than ${limit} bytes is refused`);
}

function cookieOf(request: IncomingMessage): string | undefined {
  for (const part of (request.headers.cookie ?? "").split(";")) {
    const [name = "", ...rest] = part.trim().split("=");
    if (name === COOKIE) return rest.join("=").replace(/^"|"$/g, "");
  }
  return undefined;
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function sendProblem(response: ServerResponse, error: unknown): void {
  const [status, code, message] = problemOf(error);
  if (error instanceof TooManyAttempts) {
    response.setHeader("retry-after", String(Math.trunc(error.retryS) + 1));
  }
  if (status === 413) response.setHeader("connection", "close");
  const body = JSON.stringify({ error: { code, message: message.slice(0, 4000) } });
  send(response, status, "application/json", body);
}

function problemOf(error: unknown): [number, string, string] {
  if (error instanceof HttpProblem) return [error.status, error.code, error.message];
  if (!(error instanceof OpenMinedError)) return [500, "http", "Internal Server Error"];
  const code = error.name.replace(/(?<!^)(?=[A-Z])/g, "-").toLowerCase();
  return [statusOf(error), code, error.message];
}

function statusOf(error: OpenMinedError): number {
  if (error instanceof NotLoggedIn || error instanceof WrongPassphrase) return 401;
  if (error instanceof TooManyAttempts) return 429;
  if (error instanceof UnknownDataset || error instanceof NotThere) return 404;
  if (error instanceof DatasetError) return 422;
  return error instanceof FolderError ? 507 : 422;
}

/** Serve the user interface where it was built; its own paths all lead to its one page. */
function serveInterface(method: string, path: string, response: ServerResponse): void {
  if (method !== "GET") throw new HttpProblem(405, "wrong-method", "Method Not Allowed");
  const root = INTERFACES.find((folder) => existsSync(join(folder, "index.html")));
  const inner = normalize(path).replace(/^\/+/, "");
  const wanted = root === undefined || inner === "" ? undefined : join(root, inner);
  const found = root !== undefined && wanted?.startsWith(`${root}/`) && isFile(wanted) ? wanted : undefined;
  if (found === undefined && (/^(api|assets)\//.test(inner) || root === undefined)) {
    throw new HttpProblem(404, "not-there", "there is nothing here");
  }
  const file = found ?? join(root ?? "", "index.html");
  const immutable = found !== undefined && inner.startsWith("assets/");
  response.writeHead(200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-length": statSync(file).size,
    "cache-control": immutable ? "public, max-age=31536000, immutable" : "no-cache",
  });
  createReadStream(file).pipe(response);
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false; // it is not there, too long for a name, or with a zero byte in it
  }
}
