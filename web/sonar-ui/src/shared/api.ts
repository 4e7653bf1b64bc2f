/** The statistics service, which serves this application too. */

import type { components } from "@openmined/shared/api/stats";
import { fetchJson, Refusal, ServiceError } from "@openmined/shared/ui";
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

type Schemas = components["schemas"];
export type Campaign = Schemas["Campaign"];
export type CampaignDetail = Schemas["CampaignDetail"];
export type Batch = Schemas["Batch"];
export type Gradient = Schemas["Gradient"];
export type NetworkInfo = Schemas["NetworkInfo"];
export type Totals = Schemas["Totals"];

export interface CampaignFilter {
  readonly q: string;
  readonly phase: string;
  readonly sort: string;
  readonly scientist?: string | undefined;
}

const SLOW_MS = 15_000;

export function useCampaigns(filter: CampaignFilter) {
  return useInfiniteQuery({
    queryKey: ["campaigns", filter],
    initialPageParam: "",
    queryFn: ({ pageParam }) => {
      const query = new URLSearchParams({ limit: "20", sort: filter.sort });
      if (filter.q) query.set("q", filter.q);
      if (filter.phase) query.set("phase", filter.phase);
      if (filter.scientist) query.set("data_scientist", filter.scientist);
      if (pageParam) query.set("cursor", pageParam);
      return fetchJson<Schemas["Campaigns"]>(`/v1/campaigns?${query}`);
    },
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: SLOW_MS,
  });
}

class NoCampaign extends Refusal {
  constructor(campaign: number) {
    super(
      `There is no campaign ${campaign}`,
      "The number is wrong, or the index has not come to its block yet: this page looks again by itself.",
    );
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ServiceError && error.status === 404;
}

export function useCampaign(campaign: number) {
  return useQuery({
    queryKey: ["campaign", campaign],
    queryFn: () =>
      fetchJson<CampaignDetail>(`/v1/campaigns/${campaign}`).catch((error: unknown) => {
        throw isMissing(error) ? new NoCampaign(campaign) : error;
      }),
    // A campaign just launched is on the chain a moment before it is in the index.
    retry: (failures, error) => failures < (error instanceof NoCampaign ? 5 : 2),
    retryDelay: 1_000,
    refetchInterval: SLOW_MS,
  });
}

export function useBatches(campaign: number) {
  return useQuery({
    queryKey: ["batches", campaign],
    queryFn: () => readAll<Batch>(`/v1/campaigns/${campaign}/batches`),
    refetchInterval: SLOW_MS,
  });
}

export function useTotals() {
  return useQuery({ queryKey: ["totals"], queryFn: () => fetchJson<Totals>("/v1/totals"), refetchInterval: SLOW_MS });
}

export function useNetwork() {
  return useQuery({ queryKey: ["network"], queryFn: () => fetchJson<NetworkInfo>("/v1/network"), staleTime: 300_000 });
}

export async function readNetwork(): Promise<NetworkInfo> {
  return fetchJson<NetworkInfo>("/v1/network");
}

async function readAll<T>(path: string): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: { items: T[]; next: string | null } = await fetchJson(
      `${path}?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`,
    );
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

/** Looks anew at what is shown as soon as the index has moved. */
export function useLiveUpdates(): void {
  const queries = useQueryClient();
  useEffect(() => {
    const source = new EventSource("/v1/live");
    const refresh = () => void queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "network" });
    for (const name of ["advance", "rollback", "reset"]) source.addEventListener(name, refresh);
    return () => source.close();
  }, [queries]);
}
