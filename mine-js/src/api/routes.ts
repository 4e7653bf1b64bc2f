/** The routes of the API, in the order and by the words of docs/openapi/mine.json. */
import { submissionJson, sumEarnings, withdrawable } from "../accounts.ts";
import { type CampaignView, foldEvents, minesPart } from "../campaigns.ts";
import { type Dataset, deleteDataset, listDatasets, loadDataset, rowsOf } from "../datasets.ts";
import { explainExposure } from "../exposure.ts";
import { isRunning } from "../folder.ts";
import { SCHEMAS } from "../generated/schemas.ts";
import {
  type DecisionRecord,
  type Ledger,
  type Submission,
  type Withdrawal,
  waitsForOwner,
} from "../ledger.ts";
import { type Answer, type DatasetPermission, ETHER } from "../permissions.ts";
import { changePermission } from "../permit.ts";
import type { Schema } from "../schema.ts";
import {
  checkPermission,
  permissionJson,
  permissionOf,
  permissionTable,
  readSettings,
  saveSettings,
  tomlValues,
} from "../settings.ts";
import { repr, sortedTexts } from "../text.ts";
import { follow } from "./events.ts";
import type { ImportBody, ImportOrder } from "./imports.ts";
import type { Asked, Context } from "./server.ts";
import { COOKIE, NotThere } from "./sessions.ts";

export interface Route {
  readonly method: string;
  readonly path: RegExp;
  readonly answer: (asked: Asked) => unknown;
  /** Needs no session. */
  readonly open?: boolean;
  /** The component schema that the body must fit. */
  readonly body?: string;
  readonly parameters?: Record<string, Schema>;
  readonly headers?: Record<string, Schema>;
  readonly status?: number;
}

const NAME: Schema = { type: "string", pattern: "^[a-z0-9][a-z0-9\\-]{0,63}$" };
const NAMED = { name: NAME };
const CAMPAIGN: Schema = { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER };

export const ROUTES: readonly Route[] = [
  { method: "GET", path: /^\/api\/v1\/health$/, open: true, answer: readHealth },
  { method: "POST", path: /^\/api\/v1\/session$/, open: true, body: "LogIn", answer: logIn },
  { method: "GET", path: /^\/api\/v1\/session$/, open: true, answer: readSession },
  { method: "DELETE", path: /^\/api\/v1\/session$/, open: true, answer: logOut },
  { method: "GET", path: /^\/metrics$/, open: true, answer: readMetrics },
  { method: "GET", path: /^\/api\/v1\/datasets$/, answer: readDatasets },
  { method: "GET", path: /^\/api\/v1\/datasets\/(?<name>[^/]+)$/, parameters: NAMED, answer: readDataset },
  {
    method: "DELETE",
    path: /^\/api\/v1\/datasets\/(?<name>[^/]+)$/,
    parameters: NAMED,
    status: 204,
    answer: ({ context, parameters }) => deleteDataset(context.folder, parameters.name ?? ""),
  },
  {
    method: "PUT",
    path: /^\/api\/v1\/datasets\/(?<name>[^/]+)\/permission$/,
    parameters: NAMED,
    body: "DatasetPermission-Input",
    answer: writePermission,
  },
  {
    method: "POST",
    path: /^\/api\/v1\/datasets\/(?<name>[^/]+)\/exposure$/,
    parameters: NAMED,
    body: "DatasetPermission-Input",
    answer: explain,
  },
  { method: "GET", path: /^\/api\/v1\/adapters$/, answer: readAdapters },
  {
    method: "POST",
    path: /^\/api\/v1\/uploads$/,
    headers: { "x-file-name": { type: "string", maxLength: 400 } },
    answer: upload,
  },
  {
    method: "DELETE",
    path: /^\/api\/v1\/uploads\/(?<number>[^/]+)$/,
    parameters: { number: { type: "string", pattern: "^[a-f0-9]{32}$" } },
    status: 204,
    answer: ({ context, parameters }) => context.uploads.forget(parameters.number ?? ""),
  },
  {
    method: "POST",
    path: /^\/api\/v1\/imports\/preview$/,
    body: "ImportBody",
    answer: ({ context, body }) => context.imports.preview(body as ImportBody),
  },
  {
    method: "POST",
    path: /^\/api\/v1\/imports$/,
    body: "ImportOrder",
    status: 202,
    answer: ({ context, body }) => context.imports.start(body as ImportOrder),
  },
  { method: "GET", path: /^\/api\/v1\/imports$/, answer: ({ context }) => context.imports.states() },
  {
    method: "GET",
    path: /^\/api\/v1\/imports\/(?<number>[^/]+)$/,
    parameters: { number: { type: "string", pattern: "^[a-f0-9]{16}$" } },
    answer: readImport,
  },
  { method: "GET", path: /^\/api\/v1\/status$/, answer: readStatus },
  { method: "GET", path: /^\/api\/v1\/campaigns$/, answer: readCampaigns },
  { method: "GET", path: /^\/api\/v1\/decisions$/, answer: readDecisions },
  {
    method: "PUT",
    path: /^\/api\/v1\/decisions\/(?<campaign>[^/]+)\/(?<dataset>[^/]+)$/,
    parameters: { campaign: CAMPAIGN, dataset: NAME },
    body: "OwnersAnswer",
    answer: answerDecision,
  },
  { method: "GET", path: /^\/api\/v1\/earnings$/, answer: readEarnings },
  { method: "GET", path: /^\/api\/v1\/withdrawals$/, answer: readWithdrawals },
  { method: "POST", path: /^\/api\/v1\/withdrawals$/, body: "WithdrawOrder", status: 202, answer: withdraw },
  { method: "GET", path: /^\/api\/v1\/settings$/, answer: readSettingsAnswer },
  { method: "PATCH", path: /^\/api\/v1\/settings$/, body: "SettingsChange", answer: changeSettings },
  { method: "GET", path: /^\/api\/v1\/events$/, answer: readEvents },
];

function withLedger<T>(context: Context, work: (ledger: Ledger) => T): T {
  const ledger = context.folder.ledger();
  try {
    return work(ledger);
  } finally {
    ledger.close();
  }
}

function viewsOf(context: Context, ledger: Ledger): Map<number, CampaignView> {
  return foldEvents(ledger.events(), context.address);
}

function countBy(values: readonly string[]): Record<string, number> {
  const names = sortedTexts(new Set(values));
  return Object.fromEntries(names.map((name) => [name, values.filter((item) => item === name).length]));
}

// --- open ---

function readHealth({ context }: Asked): object {
  return { status: isRunning(context.folder.path) ? "ok" : "stopped", api: "1" };
}

async function logIn({ context, body, response }: Asked): Promise<object> {
  const token = await context.sessions.logIn((body as { passphrase: string }).passphrase);
  response.setHeader("set-cookie", `${COOKIE}=${token}; HttpOnly; Path=/; SameSite=strict`);
  return { logged_in: true };
}

function readSession({ context, token }: Asked): object {
  return { logged_in: context.sessions.isOpen(token) };
}

function logOut({ context, token, response }: Asked): object {
  context.sessions.logOut(token);
  response.setHeader("set-cookie", `${COOKIE}=""; HttpOnly; Max-Age=0; Path=/; SameSite=strict`);
  return { logged_in: false };
}

function readMetrics({ context, response }: Asked): void {
  const [steps, verdicts, campaigns] = withLedger(context, (ledger) => [
    ledger.submissions().map((s) => s.step),
    ledger.decisions(true).map((record) => record.verdict),
    viewsOf(context, ledger).size,
  ]);
  const by = (metric: string, label: string, values: string[]) =>
    Object.entries(countBy(values)).map(([name, count]) => `${metric}{${label}="${name}"} ${count}`);
  const lines = [
    "# HELP openmined_mine_running Whether the mine's loop runs.",
    "# TYPE openmined_mine_running gauge",
    `openmined_mine_running ${Number(isRunning(context.folder.path))}`,
    "# HELP openmined_mine_campaigns Campaigns seen.",
    "# TYPE openmined_mine_campaigns gauge",
    `openmined_mine_campaigns ${campaigns}`,
    "# HELP openmined_mine_gradients Gradients by step.",
    "# TYPE openmined_mine_gradients gauge",
    ...by("openmined_mine_gradients", "step", steps),
    "# HELP openmined_mine_decisions Standing decisions by verdict.",
    "# TYPE openmined_mine_decisions gauge",
    ...by("openmined_mine_decisions", "verdict", verdicts),
  ];
  response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  response.end(`${lines.join("\n")}\n`);
}

// --- data ---

function datasetAnswer(context: Context, dataset: Dataset): object {
  const permission = permissionOf(context.folder.settings(), dataset.name);
  return {
    name: dataset.name,
    rows: rowsOf(dataset),
    table_schema: dataset.schema,
    imports: dataset.parts.map(({ rows, bytes, imported }) => ({ rows, bytes, imported })),
    permission,
    epsilon_spent: withLedger(context, (ledger) => ledger.epsilonSpent(dataset.name)),
    exposure: explainExposure(permission, dataset.schema, rowsOf(dataset)),
  };
}

function readDatasets({ context }: Asked): object[] {
  return listDatasets(context.folder).map((dataset) => datasetAnswer(context, dataset));
}

function named({ context, parameters }: Asked): Dataset {
  return loadDataset(context.folder, parameters.name ?? "");
}

function readDataset(asked: Asked): object {
  return datasetAnswer(asked.context, named(asked));
}

function writePermission(asked: Asked): object {
  const dataset = named(asked);
  const fresh = permissionJson(checkPermission({}));
  const changes = { ...fresh, ...permissionTable(asked.body as DatasetPermission) };
  changePermission(asked.context.folder, dataset.name, changes);
  return datasetAnswer(asked.context, dataset);
}

function explain(asked: Asked): object {
  const dataset = named(asked);
  const { schema } = dataset;
  return { exposure: explainExposure(asked.body as DatasetPermission, schema, rowsOf(dataset)) };
}

async function readAdapters({ context }: Asked): Promise<unknown> {
  return (await context.door.ask({ action: "adapters" })).adapters;
}

function upload({ context, request }: Asked): Promise<object> {
  const name = String(request.headers["x-file-name"] ?? "");
  return context.uploads.take(unquoted(name), request);
}

function unquoted(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function readImport({ context, parameters }: Asked): object {
  const number = parameters.number ?? "";
  const state = context.imports.state(number);
  if (state === undefined) throw new NotThere(`there is no import ${number}`);
  return state;
}

// --- work ---

function readStatus({ context }: Asked): object {
  const { folder, address } = context;
  const settings = folder.settings();
  const [campaigns, waiting] = withLedger(context, (ledger) => [
    countBy([...viewsOf(context, ledger).values()].map((view) => view.phase)),
    ledger.decisions(true).filter(waitsForOwner).length,
  ]);
  return {
    name: settings.name,
    address,
    network: settings.network.name,
    running: isRunning(folder.path),
    datasets: listDatasets(folder).length,
    campaigns,
    waiting_for_you: waiting,
  };
}

function readCampaigns({ context }: Asked): object[] {
  const [views, submissions] = withLedger(context, (ledger) => [
    viewsOf(context, ledger),
    ledger.submissions(),
  ]);
  const newest = [...views.values()].sort((a, b) => b.campaign - a.campaign);
  return newest.map((view) =>
    campaignAnswer(
      view,
      submissions.filter((s) => s.campaign === view.campaign),
    ),
  );
}

function campaignAnswer(view: CampaignView, submissions: Submission[]): object {
  const { campaign, data_scientist, capsule, token, bond, phase, version, deadline } = view;
  const { start_ppm, best_ppm, target_ppm } = view;
  return {
    campaign,
    data_scientist,
    capsule,
    token,
    bounty_wei: minesPart(view),
    bond_wei: bond,
    start_ppm,
    best_ppm,
    target_ppm,
    deadline,
    phase,
    version,
    submissions: submissions.map(submissionJson),
  };
}

function readDecisions({ context, query }: Asked): object[] {
  const every = ["1", "true", "yes", "on"].includes((query.get("every") ?? "").toLowerCase());
  return withLedger(context, (ledger) => {
    const titles = ledger.titles();
    return ledger.decisions(!every).map((record) => decisionAnswer(record, titles));
  });
}

function decisionAnswer(record: DecisionRecord, titles: Map<number, string>): object {
  const { id, at, campaign, dataset, verdict, causes, answer } = record;
  return { id, at, campaign, title: titles.get(campaign) ?? null, dataset, verdict, causes, answer };
}

function answerDecision({ context, parameters, body }: Asked): object {
  const campaign = Number(parameters.campaign);
  const dataset = parameters.dataset ?? "";
  return withLedger(context, (ledger) => {
    const found = ledger
      .decisions(true)
      .find((record) => record.campaign === campaign && record.dataset === dataset);
    if (found === undefined) {
      throw new NotThere(`nothing was decided on campaign ${campaign} and dataset ${repr(dataset)}`);
    }
    const { answer } = body as { answer: Answer };
    ledger.giveAnswer(campaign, dataset, answer);
    return decisionAnswer({ ...found, answer }, ledger.titles());
  });
}

// --- money ---

function readEarnings({ context }: Asked): object {
  return withLedger(context, (ledger) => {
    const events = ledger.events();
    const views = foldEvents(events, context.address);
    const withdrawable_wei = withdrawable(events, views, context.address);
    return { ...sumEarnings(ledger.submissions(), views), withdrawable_wei };
  });
}

function readWithdrawals({ context }: Asked): object[] {
  return withLedger(context, (ledger) => ledger.withdrawals().map(withdrawalAnswer));
}

function withdraw({ context, body }: Asked): object {
  const token = (body as { token?: string | null }).token ?? ETHER;
  return withLedger(context, (ledger) => withdrawalAnswer(ledger.askWithdrawal(token.toLowerCase())));
}

function withdrawalAnswer({ id, at, token, state, amount, tx, problem }: Withdrawal): object {
  return { id, at, token, state, amount_wei: amount, tx, problem };
}

// --- the mine ---

function readSettingsAnswer({ context }: Asked): object {
  const { name, loop, limits, reporting } = context.folder.settings();
  return { name, loop, limits, reporting };
}

function changeSettings(asked: Asked): object {
  const { folder } = asked.context;
  const given = Object.entries(asked.body as object).filter(([, value]) => value !== null);
  const changed = given.map(([name, value]) => [
    name,
    tomlValues(value, SCHEMAS.settings.properties?.[name] ?? {}),
  ]);
  saveSettings(folder.path, { ...readSettings(folder.path), ...Object.fromEntries(changed) });
  return readSettingsAnswer(asked);
}

async function readEvents({ context, request, response }: Asked): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  const last = String(request.headers["last-event-id"] ?? "");
  const place = /^\d{1,20}$/.test(last) ? Number(last) : undefined;
  for await (const event of follow(context.folder.logPath, place, gone.signal)) {
    if (!response.write(event)) await new Promise((done) => response.once("drain", done));
  }
  response.end();
}
