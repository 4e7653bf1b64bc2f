import { Text, VisuallyHidden } from "@mantine/core";
import { formatPpm } from "@openmined/shared/format";
import type { Campaign } from "./api";
import "./bar.css";

/** Where the accuracy began, is, and shall be, on one scale from 0 to 100 %. */
export function AccuracyBar({ campaign }: { campaign: Campaign }) {
  const start = campaign.measured_ppm ?? campaign.claimed_ppm;
  const best = campaign.best_ppm ?? start;
  const at = (ppm: number) => `${ppm / 10_000}%`;
  return (
    <div>
      <div className="bar" aria-hidden="true">
        <span className="bar-start" style={{ width: at(start) }} />
        <span className="bar-gain" style={{ left: at(start), width: at(Math.max(0, best - start)) }} />
        <span className="bar-target" style={{ left: at(campaign.target_ppm) }} />
      </div>
      <Text size="sm" component="div">
        <VisuallyHidden>Accuracy </VisuallyHidden>
        {formatPpm(best)} <span className="om-muted">of {formatPpm(campaign.target_ppm)}</span>
      </Text>
    </div>
  );
}
