/** Files that only their owner can read, written whole or not at all. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DiskFull } from "./errors.ts";

/** Write a file whole and atomically, mode 0600. What was there before stays if there is no room. */
export function writePrivate(path: string, data: Uint8Array | string): void {
  const partial = join(dirname(path), `.${basename(path)}.partial`);
  try {
    const handle = openSync(partial, "w", 0o600);
    try {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    raiseIfFull(error, dirname(path));
    throw error;
  }
}

/** Turn "no space left" and "quota exceeded" into our own error. */
export function raiseIfFull(error: unknown, folder: string): void {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT") {
    throw new DiskFull(
      `the disk of ${folder} is full: free some space; nothing is lost, and the mine goes on where it stood`,
    );
  }
}
