import { describe, expect, test } from "vitest";
import {
  type Draft,
  droppedColumns,
  EMPTY,
  keptFields,
  mappingOf,
  nameFault,
  type Preview,
  shownValue,
  sourceOf,
  suggestName,
} from "../src/features/import/plan";

const found = {
  adapter: "csv",
  problems: [],
  refused: [],
  rows: [],
  table_schema: {
    title: "patients.csv",
    fields: [
      { name: "e-mail", type: "string" },
      { name: "age", type: "integer" },
    ],
  },
} as unknown as Preview;
const draft = (part: Partial<Draft>): Draft => ({ ...EMPTY, upload: "u1", ...part });

describe("what the mine is asked", () => {
  test("a file taken as it is needs no mapping", () => {
    expect(mappingOf(draft({}), found)).toBeUndefined();
    expect(mappingOf(draft({ types: { age: "integer" } }), found)).toBeUndefined();
  });

  test("columns left out and types changed make a schema of their own", () => {
    const wanted = draft({ dropped: ["e-mail"], types: { age: "number" } });
    expect(keptFields(wanted, found.table_schema)).toEqual([{ name: "age", type: "number" }]);
    expect(mappingOf(wanted, found)).toEqual({ schema: { title: "patients.csv", fields: [{ name: "age", type: "number" }] } });
    expect(droppedColumns(wanted, found, undefined)).toEqual(["e-mail"]);
  });

  test("a published schema takes the columns it is given, and leaves the rest", () => {
    const wanted = draft({ published: "health@1", sources: { years: "age", sex: "" } });
    expect(mappingOf(wanted, found)).toEqual({ schema: "health@1", columns: { years: "age", sex: { constant: "" } } });
    const fields = [{ name: "years", type: "integer" }] as const;
    expect(droppedColumns(wanted, found, { fields: [...fields] } as Preview["table_schema"])).toEqual(["e-mail"]);
  });

  test("an archive has fields of its own, which nobody chooses", () => {
    expect(mappingOf(draft({ dropped: ["age"] }), { ...found, adapter: "twitter" })).toBeUndefined();
  });

  test("the source is an upload or a path, never both", () => {
    expect(sourceOf(draft({ path: "/a", adapter: "csv" }))).toEqual({ upload: "u1", adapter: "csv" });
    expect(sourceOf({ ...EMPTY, path: "/a" })).toEqual({ path: "/a" });
  });
});

test.each([
  ["Patients 2026.csv", "patients-2026"],
  ["C:\\export\\Zürich.tar.gz", "zurich"],
  ["<img src=x>.csv", "img-src-x"],
  ["数据.csv", "data"],
  [`${"a".repeat(39)}-b.csv`, "a".repeat(39)],
])("%s suggests the name %s", (file, name) => {
  expect(suggestName(file)).toBe(name);
  expect(nameFault(name)).toBeUndefined();
});

test.each([
  ["", /Give it a name/],
  ["<b>", /Small letters/],
  ["-a", /Begin with/],
  ["a".repeat(65), /At most 64/],
])("%s is no name", (name, fault) => expect(nameFault(name)).toMatch(fault));

test.each([
  [null, "–"],
  [0, "0"],
  [false, "false"],
  [0.13093057414296635, "0.13093057414296635"],
  [[1, 0.13093057414296635, -0.000012345678], "1, 0.1309, -0.00001235"],
  [[1, 2, 3, 4, 5, 6, 7], "1, 2, 3, 4, 5, 6, …"],
  [{ a: 1 }, '{"a":1}'],
  ["x".repeat(1000), `${"x".repeat(119)}…`],
])("%j is shown as %s", (value, text) => expect(shownValue(value)).toBe(text));
