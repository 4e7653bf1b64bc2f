/** Progress as server-sent events: the mine's own log, followed. */
import { closeSync, openSync, readSync, statSync } from "node:fs";

const LOOK_MS = 250;
const HEARTBEAT_MS = 15_000;
const TAIL_BYTES = 64 << 10;
const MAX_LINE = 64 << 10;

/**
 * Yield the log's lines as events; `id` is the place in the log, to go on after a break. Starts with
 * the lines of the last 64 KiB, or after `lastId`.
 */
export async function* follow(
  path: string,
  lastId: number | undefined,
  gone: AbortSignal,
): AsyncGenerator<string> {
  let place = startOf(path, lastId);
  let quiet = 0;
  yield "retry: 2000\n\n";
  while (!gone.aborted) {
    const data = read(path, place);
    const end = data.lastIndexOf(10);
    if (end >= 0) {
      let from = 0;
      while (from <= end) {
        const stop = data.indexOf(10, from);
        const line = data.subarray(from, stop).toString("utf8");
        from = stop + 1;
        yield `id: ${place + from}\nevent: progress\ndata: ${line}\n\n`;
      }
      place += end + 1;
      quiet = 0;
      continue;
    }
    // The log was turned over, or holds what is no line: begin at its end.
    if (data.length >= MAX_LINE || sizeOf(path) < place) place = sizeOf(path);
    await pause(LOOK_MS, gone);
    quiet += LOOK_MS;
    if (quiet >= HEARTBEAT_MS) {
      quiet = 0;
      yield ": still here\n\n";
    }
  }
}

function startOf(path: string, lastId: number | undefined): number {
  const size = sizeOf(path);
  if (lastId !== undefined && lastId <= size) return lastId;
  if (size <= TAIL_BYTES) return 0;
  const data = read(path, size - TAIL_BYTES);
  return size - data.length + data.indexOf(10) + 1;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function read(path: string, place: number): Buffer {
  let handle: number;
  try {
    handle = openSync(path, "r");
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const data = Buffer.alloc(TAIL_BYTES);
    return data.subarray(0, readSync(handle, data, 0, TAIL_BYTES, place));
  } finally {
    closeSync(handle);
  }
}

async function pause(ms: number, gone: AbortSignal): Promise<void> {
  await new Promise<void>((done) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      gone.removeEventListener("abort", end);
      done();
    }
    gone.addEventListener("abort", end);
  });
}
