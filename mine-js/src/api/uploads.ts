/** Uploads are plaintext: they are held in memory (tmpfs) and never on a disk. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ImportRefused } from "../errors.ts";

const MEMORY = "/dev/shm";
const KEPT_MS = 3_600_000;
const MAX_UPLOADS = 4;
export const UPLOAD_BYTES = 2 ** 31;

export class Uploads {
  readonly #held = new Map<string, { path: string; at: number }>();
  #folder: string | undefined;

  /** Hold a file; return its number, the name it is known by, and its size. */
  async take(
    given: string,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<{ upload: string; name: string; bytes: number }> {
    this.#forgetOld();
    if (this.#held.size >= MAX_UPLOADS) {
      throw new ImportRefused(`${MAX_UPLOADS} uploads wait already: import or delete them first`);
    }
    const upload = randomBytes(16).toString("hex");
    const name = plainName(given);
    const place = join(this.#root(), upload);
    mkdirSync(place, { mode: 0o700 });
    let bytes = 0;
    try {
      const file = await open(join(place, name), "wx", 0o600);
      try {
        for await (const piece of pieces) {
          bytes += piece.length;
          if (bytes > UPLOAD_BYTES) {
            throw new ImportRefused(
              `an upload of more than ${UPLOAD_BYTES} bytes is refused: ` +
                "put the file on the mine's machine and give its path",
            );
          }
          await file.writeFile(piece);
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      rmSync(place, { recursive: true, force: true });
      throw error;
    }
    this.#held.set(upload, { path: join(place, name), at: performance.now() });
    return { upload, name, bytes };
  }

  /** Return where an upload is. */
  path(upload: string): string {
    this.#forgetOld();
    const held = this.#held.get(upload);
    if (held === undefined) {
      throw new ImportRefused("there is no such upload any more: send the file again");
    }
    return held.path;
  }

  forget(upload: string): void {
    const held = this.#held.get(upload);
    this.#held.delete(upload);
    if (held !== undefined) rmSync(dirname(held.path), { recursive: true, force: true });
  }

  /** Delete them all. */
  close(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
    this.#held.clear();
  }

  #forgetOld(): void {
    const old = performance.now() - KEPT_MS;
    for (const [upload, { at }] of this.#held) if (at < old) this.forget(upload);
  }

  #root(): string {
    if (this.#folder === undefined) {
      if (!(statSync(MEMORY, { throwIfNoEntry: false })?.isDirectory() ?? false)) {
        throw new ImportRefused(
          "this machine has no memory folder (/dev/shm), and uploads are never written " +
            "to a disk: put the file on the mine's machine and give its path",
        );
      }
      this.#folder = mkdtempSync(join(MEMORY, "openmined-mine-"));
    }
    return this.#folder;
  }
}

/** Return a file name without folders or anything strange; adapters go by its ending. */
export function plainName(name: string): string {
  const base = name.split(/[/\\]/).at(-1) ?? "";
  const plain = base.replace(/[^\w.\- ]/gu, "_").replace(/^[. ]+|[. ]+$/g, "");
  return plain.slice(-100) || "upload";
}
