import type { MineFolder, Secrets } from "../folder.ts";
export async function startApi(_f: MineFolder, _s: Secrets): Promise<{ url: string; stop: () => Promise<void> }> { throw new Error("x"); }
