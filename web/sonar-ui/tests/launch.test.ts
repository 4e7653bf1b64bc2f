import { ETH } from "@openmined/shared/format";
import { encodeManifest, publishedSchemas } from "@openmined/shared/protocol";
import { Refusal } from "@openmined/shared/ui";
import { describe, expect, test } from "vitest";
import { checkValues, inferColumns, withClasses } from "../src/features/launch/columns";
import { parseCsv, readCsvFile, writeCsv } from "../src/features/launch/csv";
import { EMPTY } from "../src/features/launch/draft";
import { makePlan } from "../src/features/launch/plan";
import { makeManifest } from "../src/features/launch/prepare";
import { makeTask } from "../src/features/launch/task";

const refusalOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof Refusal) return `${error.title}. ${error.advice}`;
    throw error;
  }
  return "";
};

describe("CSV", () => {
  test("quotes, line ends and a byte order mark are read; what is written is read again", () => {
    const csv = parseCsv('\ufeffa,b\r\n"x, ""y""","two\nlines"\r\nplain,\r\n');
    expect(csv).toEqual({
      header: ["a", "b"],
      rows: [
        ['x, "y"', "two\nlines"],
        ["plain", ""],
      ],
    });
    expect(parseCsv(new TextDecoder().decode(writeCsv(csv.header, csv.rows)))).toEqual(csv);
  });

  test.each([
    ["", /empty/],
    ["a,a\n1,2\n", /Two columns are named a/],
    ["<b>,c\n1,2\n", /Column 1 has no usable name/],
    ["a,b\n1,2\n3\n", /Row 2 does not fit/],
    ['a,b\n"1,2\n', /never closed/],
    ['a,b\n"1"x,2\n', /after a closing quote/],
    ["a,b\n1,2\n", /Too few rows/],
  ])("%j is refused", (text, reason) => {
    expect(refusalOf(() => parseCsv(text))).toMatch(reason);
  });

  test("a file of 2 GB is refused by its size, unread", async () => {
    const file = { size: 2 ** 31, arrayBuffer: () => Promise.reject(new Error("read")) } as unknown as Blob;
    await expect(readCsvFile(file)).rejects.toThrow(/2048 MiB/);
  });
});

const IRIS = parseCsv("length,width,kind\n5.1,3.5,setosa\n7,3.2,versicolor\n6.3,3.3,virginica\n4.9,3,setosa\n");

describe("columns", () => {
  test("types are guessed, the last column is the output with its classes", () => {
    expect(inferColumns(IRIS, "")).toMatchObject([
      { name: "length", role: "input", type: "number" },
      { name: "width", role: "input", type: "number" },
      { name: "kind", role: "output", type: "string", classes: ["setosa", "versicolor", "virginica"] },
    ]);
  });

  test("classes that are numbers stand in their order", () => {
    const column = { name: "digit", role: "output", type: "number" } as const;
    expect(withClasses(column, ["10", "2", "1"])).toMatchObject({ type: "integer", classes: ["1", "2", "10"] });
    expect(withClasses(column, ["1.5", "2"]).classes).toBeUndefined();
  });

  test("a published schema gives its types, and leaves out what it does not have", () => {
    const csv = parseCsv("text,mood,is_reply\nhello,1,true\nbye,2,false\n");
    const columns = inferColumns(csv, "openmined/tweets@1");
    expect(columns.map(({ role }) => role)).toEqual(["input", "unused", "output"]);
    expect(publishedSchemas.map(({ id }) => id)).toContain("openmined/tweets@1");
  });

  test.each([
    ["1,a\nx,b\n", "number", /Row 2, column x: "x"/],
    ["1,a\n,b\n", "number", /Row 2, column x: "".*no value/],
    ["1.5,a\n2,b\n", "integer", /Row 1, column x: "1.5"/],
    ["yes,a\ntrue,b\n", "boolean", /Row 1, column x: "yes"/],
    ['"[1,2]",a\n"[1]",b\n', "array", /Row 2, column x: "\[1\]".*2 numbers/],
  ] as const)("%j is no %s, and row and column are named", (rows, type, reason) => {
    const csv = parseCsv(`x,y\n${rows}`);
    const columns = [{ name: "x", role: "input", type } as const, { name: "y", role: "unused", type: "string" } as const];
    expect(refusalOf(() => checkValues(csv, columns))).toMatch(reason);
  });
});

describe("a task", () => {
  test("of numbers is standardised and given a kernel; the start is the share of the first class", () => {
    const task = makeTask(IRIS, inferColumns(IRIS, ""), "auto", "");
    expect(task.features[0]).toEqual({ kind: "columns", columns: ["length", "width"], centre: [5.82, 3.25], scale: [0.864, 0.18] });
    expect(task.features[1]).toMatchObject({ kind: "random-fourier", features: 511, gamma: 0.15 });
    expect(task).toMatchObject({ metric: "accuracy", startPpm: 500_000, tolerancePpm: 5_000, stepPpm: 10_000, rows: 4 });
    expect(new TextDecoder().decode(task.validation).split("\r\n")[1]).toBe("5.1,3.5,setosa");
  });

  test("of a number to predict is a regression within limits wider than what was seen", () => {
    const csv = parseCsv("x,y\n1,0\n2,10\n3,5.5\n");
    const task = makeTask(csv, inferColumns(csv, ""), "linear", "");
    expect(task.output.fields[0]).toEqual({ name: "y", type: "number", constraints: { minimum: -5, maximum: 15 } });
    expect(task).toMatchObject({ metric: "r2", startPpm: 0, algorithm: { kind: "linear-regression" } });
  });

  test.each([
    ["t,y\nhello,a\nbye,b\n", "fourier", /Random features are for numbers/],
    ["x,y\n1,0.5\n2,1.5\n", "mlp", /sorts into classes/],
    ["x,y\n1,a\n2,a\n", "auto", /All rows have the same y/],
  ] as const)("%j by %s is refused", (text, method, reason) => {
    const csv = parseCsv(text);
    expect(refusalOf(() => makeTask(csv, inferColumns(csv, ""), method, ""))).toMatch(reason);
  });
});

describe("a plan", () => {
  const task = makeTask(IRIS, inferColumns(IRIS, ""), "auto", "");
  const good = { ...EMPTY, title: "Iris", target: "90", bounty: "1", certificate: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n" };

  test("has the defaults of PySonar, and a manifest that the schema accepts", () => {
    const { plan, problems } = makePlan(good, task, ETH);
    expect(problems).toEqual({});
    expect(plan).toMatchObject({
      bounty: 10n ** 18n,
      fee: 5n * 10n ** 16n,
      bond: 10n ** 15n,
      startPpm: 500_000,
      targetPpm: 900_000,
      durationS: 604_800,
    });
    if (!plan) throw new Error("no plan");
    const manifest = makeManifest(plan, task, { cid: `b${"a".repeat(58)}`, size: 3, purpose: "validation" }, undefined);
    expect(() => encodeManifest<"openmined/campaign@1">(manifest)).not.toThrow();
  });

  test.each([
    ["title", { title: " " }],
    ["target", { target: "50" }],
    ["target", { target: "101" }],
    ["bounty", { bounty: "0" }],
    ["bounty", { bounty: "1,5" }],
    ["fee", { fee: "1" }],
    ["token", { token: "0x12" }],
    ["days", { days: "0" }],
    ["maxGradients", { maxGradients: "1.5" }],
    ["step", { step: "0" }],
    ["claimed", { claimed: "abc" }],
    ["source", { source: "3" }],
    ["certificate", { certificate: "-----BEGIN PGP PRIVATE KEY BLOCK-----" }],
  ])("names the problem of %s", (field, change) => {
    const { plan, problems } = makePlan({ ...good, ...change }, task, ETH);
    expect(plan).toBeUndefined();
    expect(Object.keys(problems)).toEqual([field]);
  });
});
