import { Group, Text, useComputedColorScheme } from "@mantine/core";
import { formatAmount, formatExact, formatPpm } from "@openmined/shared/format";
import { Empty } from "@openmined/shared/ui";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { useToken } from "../../shared/amounts";
import type { Batch, CampaignDetail } from "../../shared/api";
import { isOver } from "../../shared/campaign";
import { chartColors, chartOptions, chartRows } from "./chart";

/** Accuracy and spend over time in one picture; the table below it says the same in figures. */
export function ProgressChart({ campaign, batches }: { campaign: CampaignDetail; batches: readonly Batch[] }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  const token = useToken(campaign.token);
  const opened = campaign.opened_at !== null;
  useEffect(() => {
    const element = place.current;
    if (!element || !opened) return;
    const options = chartOptions(campaign, token, chartColors(scheme), element.clientWidth);
    const plot = new uPlot(options, chartRows(campaign, batches, token), element);
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: options.height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [campaign, batches, token, scheme, opened]);
  if (!opened && isOver(campaign)) return <Empty title="There is no curve">The campaign ended before Capsule opened it.</Empty>;
  if (!opened) return <Empty title="No curve yet">It begins when Capsule has opened the campaign and measured the start.</Empty>;
  const colors = chartColors(scheme);
  const last = batches.at(-1);
  const told = last
    ? `${batches.length} batches. At ${formatExact(last.scored_at)} accuracy ${formatPpm(last.best_ppm)}, ${formatAmount(BigInt(last.paid_total), token)} paid.`
    : `No batch yet; accuracy ${formatPpm(campaign.measured_ppm ?? 0)} at the start.`;
  return (
    <figure className="chart" aria-label={told}>
      <Group gap="lg" mb="xs" aria-hidden="true">
        <Key color={colors.accuracy} text={campaign.metric === "r2" ? "R², left" : "Accuracy, left"} />
        <Key color={colors.target} text="Target" dashed />
        <Key color={colors.spend} text={`Paid to mines in ${token.symbol}, right`} />
      </Group>
      <div ref={place} aria-hidden="true" />
    </figure>
  );
}

function Key({ color, text, dashed }: { color: string; text: string; dashed?: boolean }) {
  return (
    <Group gap={6} wrap="nowrap">
      <span style={{ width: 18, borderTop: `3px ${dashed ? "dashed" : "solid"} ${color}` }} />
      <Text size="sm">{text}</Text>
    </Group>
  );
}
