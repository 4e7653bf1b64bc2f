import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const SRC = join(import.meta.dirname, "..", "src");
const ORDER = ["shared", "features", "app"];

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));

/** What a file imports of ours, as paths below src. */
function imported(file: string): string[] {
  const text = readFileSync(join(SRC, file), "utf8");
  const found = text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map(([, path = ""]) => relative(SRC, join(SRC, dirname(file), path)));
}

test.each(files)("%s imports only what is below it", (file) => {
  const [layer = "", feature] = file.split("/");
  if (!ORDER.includes(layer)) return; // main.tsx starts the application
  for (const path of imported(file)) {
    const [other = "", otherFeature] = path.split("/");
    expect(ORDER.indexOf(other), `${file} imports ${path}`).toBeLessThanOrEqual(ORDER.indexOf(layer));
    if (layer === "features" && other === "features") expect(otherFeature, `${file} imports ${path}`).toBe(feature);
  }
});

test("there is something to check", () => {
  expect(files.length).toBeGreaterThan(30);
  expect(files.flatMap(imported).length).toBeGreaterThan(60);
});
