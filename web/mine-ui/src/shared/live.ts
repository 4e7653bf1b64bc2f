/** The mine's progress as it happens: its own log, line by line, by server-sent events. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { API } from "./api";

/** One line of the log. What it holds besides depends on the step. */
export interface Line {
  readonly at: string;
  readonly step: string;
  readonly [fact: string]: unknown;
}

export interface Live {
  readonly connected: boolean;
  /** The newest last. */
  readonly lines: readonly Line[];
}

const KEPT = 300;
const REFRESH_MS = 400;
const AGAIN_MS = 3_000;

let live: Live = { connected: false, lines: [] };
const listeners = new Set<() => void>();

function publish(next: Partial<Live>): void {
  live = { ...live, ...next };
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useLive(): Live {
  return useSyncExternalStore(subscribe, () => live);
}

export function parseLine(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line;
    return typeof line === "object" && line !== null && typeof line.step === "string" ? line : undefined;
  } catch {
    return undefined;
  }
}

/** Follows the log while `wanted`, and looks anew at what is shown whenever the mine did something. */
export function useFollow(wanted: boolean): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!wanted) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        void queries.invalidateQueries({ queryKey: ["mine"] });
      }, REFRESH_MS);
    };
    const lost = () => void queries.invalidateQueries({ queryKey: ["session"] });
    const close = follow((line) => line.step !== "training" && refresh(), lost);
    return () => {
      clearTimeout(timer);
      close();
    };
  }, [wanted, queries]);
}

function follow(heard: (line: Line) => void, lost: () => void): () => void {
  let source: EventSource;
  let again: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    publish({ lines: [] });
    source = new EventSource(`${API}/events`);
    source.onopen = () => publish({ connected: true });
    source.onerror = () => {
      publish({ connected: false });
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      lost();
      again = setTimeout(open, AGAIN_MS);
    };
    source.addEventListener("progress", (event: MessageEvent<string>) => {
      const line = parseLine(event.data);
      if (!line) return;
      publish({ lines: [...live.lines.slice(1 - KEPT), line] });
      heard(line);
    });
  };
  open();
  return () => {
    clearTimeout(again);
    source.close();
    publish({ connected: false });
  };
}
