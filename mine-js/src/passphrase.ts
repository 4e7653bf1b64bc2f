/** The owner's passphrase: typed, or read from a file that only the owner can read. */
import { readFileSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { SettingsError, systemTextOf, textOf } from "./errors.ts";
import { repr } from "./text.ts";

const MAX_BYTES = 4096;

/** Ask for the passphrase, or read it from a file of mode 0600; one final newline is dropped. */
export async function readPassphrase(file: string | undefined, confirm = false): Promise<string> {
  if (file !== undefined) return fromFile(file);
  for (;;) {
    const [first, second] = await typed(
      confirm ? ["Passphrase: ", "Repeat for confirmation: "] : ["Passphrase: "],
    );
    if (!confirm || first === second) return first ?? "";
    process.stderr.write("Error: The two entered values do not match.\n");
  }
}

function fromFile(file: string): string {
  let data: Buffer;
  let mode: number;
  try {
    mode = statSync(file).mode;
    data = readFileSync(file);
  } catch (error) {
    throw new SettingsError(`the passphrase file ${file} cannot be read: ${systemText(error, file)}`);
  }
  if (mode & 0o077) {
    const shown = (mode & 0o7777).toString(8).padStart(4, "0");
    throw new SettingsError(`${file} is readable by others (mode ${shown}): run \`chmod 600 ${file}\` first`);
  }
  if (data.length > MAX_BYTES) throw new SettingsError(`${file} is too long for a passphrase`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data).replace(/\r?\n$/, "");
  } catch (error) {
    throw new SettingsError(`the passphrase file ${file} cannot be read: ${textOf(error)}`);
  }
}

function systemText(error: unknown, file: string): string {
  const { errno = 0 } = error as NodeJS.ErrnoException;
  return `[Errno ${-errno}] ${systemTextOf(error)}: ${repr(file)}`;
}

async function typed(prompts: string[]): Promise<string[]> {
  const silent = new Writable({ write: (_piece, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY });
  const answers: string[] = [];
  const source = lines[Symbol.asyncIterator]();
  for (const prompt of prompts) {
    process.stderr.write(prompt);
    const { value, done } = await source.next();
    process.stderr.write("\n");
    if (done) throw new SettingsError("no passphrase was typed: type one, or give --passphrase-file");
    answers.push(String(value));
  }
  lines.close();
  return answers;
}
