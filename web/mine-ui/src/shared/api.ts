/** The mine that serves this application: its answers, and what can be asked of it. */

import type { components } from "@openmined/shared/api/mine";
import { fetchJson } from "@openmined/shared/ui";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

type Schemas = components["schemas"];
export type Status = Schemas["Status"];
export type Dataset = Schemas["DatasetAnswer"];
export type Permission = Required<Schemas["DatasetPermission-Output"]>;
export type TableSchema = Schemas["TableSchema"];
export type SchemaField = Schemas["SchemaField"];
export type Campaign = Schemas["CampaignAnswer"];
export type Decision = Schemas["DecisionAnswer"];
export type Submission = Schemas["SubmissionAnswer"];
export type Earnings = Schemas["EarningsAnswer"];
export type Withdrawal = Schemas["WithdrawalAnswer"];
export type Settings = Schemas["SettingsAnswer"];
export type ImportState = Schemas["ImportState"];

export const API = "/api/v1";
const SLOW_MS = 15_000;

/** Asks the mine; `body` is sent as JSON. */
export function ask<T>(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T> {
  if (body === undefined) return fetchJson<T>(API + path, { method });
  return fetchJson<T>(API + path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}

function useRead<T>(key: readonly unknown[], path: string, everyMs: number | false = SLOW_MS) {
  return useQuery({ queryKey: ["mine", ...key], queryFn: () => ask<T>("GET", path), refetchInterval: everyMs });
}

export const useStatus = () => useRead<Status>(["status"], "/status");
export const useDatasets = () => useRead<Dataset[]>(["datasets"], "/datasets");
export const useCampaigns = () => useRead<Campaign[]>(["campaigns"], "/campaigns");
export const useEarnings = () => useRead<Earnings>(["earnings"], "/earnings");
export const useSettings = () => useRead<Settings>(["settings"], "/settings");

/** One dataset, out of the list: the same answer for every page. */
export function useDataset(name: string) {
  return useRead<Dataset>(["datasets", name], `/datasets/${encodeURIComponent(name)}`);
}

/** Decisions, the newest first: those that stand, or every one that was ever made. */
export function useDecisions(every = false) {
  return useRead<Decision[]>(["decisions", every], every ? "/decisions?every=true" : "/decisions");
}

export function useWithdrawals() {
  return useQuery({
    queryKey: ["mine", "withdrawals"],
    queryFn: () => ask<Withdrawal[]>("GET", "/withdrawals"),
    refetchInterval: (query) => (query.state.data?.some(isUnderWay) ? 1_000 : SLOW_MS),
  });
}

export function isUnderWay(withdrawal: Withdrawal): boolean {
  return withdrawal.state === "asked" || withdrawal.state === "sending";
}

/** A change of the mine; what is shown is asked anew when it is done. */
export function useChange<T, V>(change: (value: V) => Promise<T>, done?: (answer: T, value: V) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: async (answer, value) => {
      done?.(answer, value);
      await queries.invalidateQueries({ queryKey: ["mine"] });
    },
  });
}
