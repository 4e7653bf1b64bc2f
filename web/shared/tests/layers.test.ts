import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const ORDER = ["shared", "features", "app"];

/** What a file imports of its own application, as paths below src. */
function imported(src: string, file: string): string[] {
  const text = readFileSync(join(src, file), "utf8");
  const found = text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map(([, path = ""]) => relative(src, join(src, dirname(file), path)));
}

describe.each(["sonar-ui", "mine-ui"])("%s", (application) => {
  const src = join(import.meta.dirname, "..", "..", application, "src");
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));

  test.each(files)("%s imports only what is below it", (file) => {
    const [layer = "", feature] = file.split("/");
    if (!ORDER.includes(layer)) return; // main.tsx starts the application
    for (const path of imported(src, file)) {
      const [other = "", otherFeature] = path.split("/");
      expect(ORDER.indexOf(other), `${file} imports ${path}`).toBeLessThanOrEqual(ORDER.indexOf(layer));
      if (layer === "features" && other === "features") expect(otherFeature, `${file} imports ${path}`).toBe(feature);
    }
  });

  test("there is something to check", () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.flatMap((file) => imported(src, file)).length).toBeGreaterThan(60);
  });
});
