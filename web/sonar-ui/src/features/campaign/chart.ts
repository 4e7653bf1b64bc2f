/** Rows and options of the picture of a campaign: pure, but for uPlot's own helpers. */

import type { Token } from "@openmined/shared/format";
import uPlot from "uplot";
import type { Batch, CampaignDetail } from "../../shared/api";

export interface ChartColors {
  readonly accuracy: string;
  readonly spend: string;
  readonly target: string;
  readonly text: string;
  readonly grid: string;
}

export function chartColors(scheme: "light" | "dark"): ChartColors {
  return scheme === "light"
    ? { accuracy: "#1f4c88", spend: "#b25c00", target: "#6b7480", text: "#495057", grid: "#e3e6ea" }
    : { accuracy: "#7fa9e8", spend: "#f0a34a", target: "#98a2ae", text: "#c1c8d0", grid: "#373d44" };
}

/** Columns: time, accuracy in percent, target in percent, spend in the token's unit. */
export function chartRows(campaign: CampaignDetail, batches: readonly Batch[], token: Token): uPlot.AlignedData {
  const start = campaign.opened_at ?? campaign.launched_at;
  const unit = 10 ** token.decimals;
  const points = [
    { at: start, ppm: campaign.measured_ppm ?? campaign.claimed_ppm, paid: 0 },
    ...batches.map((batch) => ({ at: batch.scored_at, ppm: batch.best_ppm, paid: Number(batch.paid_total) / unit })),
  ];
  const last = points.at(-1);
  const end = campaign.ended_at ?? campaign.updated_at;
  if (last && end > last.at) points.push({ ...last, at: end });
  return [
    points.map((point) => point.at),
    points.map((point) => point.ppm / 10_000),
    points.map(() => campaign.target_ppm / 10_000),
    points.map((point) => point.paid),
  ];
}

export function chartOptions(
  campaign: CampaignDetail,
  token: Token,
  colors: ChartColors,
  width: number,
): uPlot.Options & { height: number } {
  const axis = { stroke: colors.text, grid: { stroke: colors.grid, width: 1 }, ticks: { stroke: colors.grid, width: 1 } };
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  const paths = stepped ? { paths: stepped } : {};
  const most = Number(BigInt(campaign.bounty) - BigInt(campaign.fee)) / 10 ** token.decimals;
  return {
    width,
    height: 280,
    cursor: { drag: { x: false, y: false } },
    legend: { show: false },
    // A single moment has no width: uPlot would show years around it.
    scales: {
      x: { range: (_, from, to) => [from, to > from ? to : from + HOUR_S] },
      percent: { range: [0, 100] },
      spend: { range: [0, most || 1] },
    },
    axes: [
      { ...axis, space: 80, values: TIMES },
      { ...axis, scale: "percent", values: (_, ticks) => ticks.map((tick) => `${tick} %`), size: 56 },
      { ...axis, scale: "spend", side: 1, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => shortAmount(tick)), size: 56 },
    ],
    series: [
      {},
      { scale: "percent", stroke: colors.accuracy, width: 2, points: { show: true, size: 6, fill: colors.accuracy }, ...paths },
      { scale: "percent", stroke: colors.target, width: 1, dash: [6, 5], points: { show: false } },
      { scale: "spend", stroke: colors.spend, width: 2, points: { show: false }, ...paths },
    ],
  };
}

const HOUR_S = 3_600;

/** Ticks on a 24-hour clock, the date below where it changes: increment, form, form after a new year, day, ... */
const TIMES: uPlot.Axis.Values = [
  [31_536_000, "{YYYY}", null, null, null, null, null, null, 1],
  [2_419_200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86_400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
];

function shortAmount(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
