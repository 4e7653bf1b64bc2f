/** `import`, `backup` and `restore` are the `openmined` command's own: it reads exports and rows. */
import { spawn } from "node:child_process";
import { findPython } from "../door.ts";

/** Run a command of `openmined mine` in this one's place: same input, output and exit code. */
export async function delegate(command: string, args: string[]): Promise<void> {
  const child = spawn(findPython(), ["-m", "openmined", "mine", command, ...args], { stdio: "inherit" });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(signal === null ? (code ?? 1) : 1));
  });
}
