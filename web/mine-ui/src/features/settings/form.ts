/** The settings as text fields, and back. Pure. */

import type { Settings } from "../../shared/api";

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  readonly least: number;
  readonly most: number;
  readonly whole: boolean;
}

type Group = "loop" | "limits";

export const FIELDS: Readonly<Record<Group, readonly Field[]>> = {
  loop: [
    {
      name: "poll_interval_s",
      label: "Look at the chain every, in seconds",
      description: "Less is quicker, and asks the chain’s node more often",
      least: 0.02,
      most: 3600,
      whole: false,
    },
    {
      name: "patience",
      label: "Gradients in a row that may earn nothing",
      description: "After so many the mine leaves a campaign, so as not to give work away",
      least: 1,
      most: 1000,
      whole: true,
    },
    {
      name: "retry_s",
      label: "Try again after, in seconds",
      description: "When the chain or the store does not answer, or money for a bond is missing",
      least: 0.02,
      most: 86_400,
      whole: false,
    },
    {
      name: "max_fee_gwei",
      label: "Most to pay for a unit of gas, in gwei",
      description: "The network’s price for a transaction; above it the mine waits until it falls",
      least: 1e-6,
      most: 1e6,
      whole: false,
    },
  ],
  limits: [
    {
      name: "memory_mb",
      label: "Memory for training, in MB",
      description: "Training that needs more is given up",
      least: 128,
      most: 1 << 20,
      whole: true,
    },
    {
      name: "seconds",
      label: "Time for one training, in seconds",
      description: "Training that takes longer is given up",
      least: 1,
      most: 86_400,
      whole: true,
    },
    {
      name: "download_mb",
      label: "Largest download for one campaign, in MB",
      description: "Its keys and its model",
      least: 1,
      most: 1 << 14,
      whole: true,
    },
  ],
};

export interface Form {
  readonly name: string;
  readonly values: Readonly<Record<string, string>>;
  readonly reporting: boolean;
  readonly url: string;
}

export function formOf(settings: Settings): Form {
  const values: Record<string, string> = {};
  for (const group of ["loop", "limits"] as const) {
    for (const field of FIELDS[group]) values[field.name] = String((settings[group] as Record<string, unknown>)[field.name]);
  }
  return { name: settings.name, values, reporting: settings.reporting.enabled ?? false, url: settings.reporting.url ?? "" };
}

export type Faults = Record<string, string>;

/** What the mine is to be told, or what is wrong with it, by field. */
export function settingsOf(form: Form, before: Settings): { settings: Settings } | { faults: Faults } {
  const faults: Faults = {};
  const read = (group: Group) => {
    const section: Record<string, number> = {};
    for (const field of FIELDS[group]) {
      const text = (form.values[field.name] ?? "").trim();
      const value = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
      if (Number.isNaN(value) || (field.whole && !Number.isInteger(value)))
        faults[field.name] = `Write a ${field.whole ? "whole " : ""}number`;
      else if (value < field.least || value > field.most) faults[field.name] = `Between ${field.least} and ${field.most}`;
      section[field.name] = value;
    }
    return section;
  };
  const url = form.url.trim();
  if (form.name.trim() === "") faults.name = "Give the mine a name";
  if (form.name.length > 64) faults.name = "At most 64 characters";
  if (form.reporting && url === "") faults.url = "Say where to report to";
  if (url !== "" && !/^https?:\/\/[^\s@]+$/.test(url)) faults.url = "Write an address like https://stats.example.org";
  const [loop, limits] = [read("loop"), read("limits")];
  if (Object.keys(faults).length > 0) return { faults };
  const reporting = { ...before.reporting, enabled: form.reporting, url: url || null };
  return { settings: { name: form.name.trim(), loop: loop as Settings["loop"], limits: limits as Settings["limits"], reporting } };
}
