import { describe, expect, test } from "vitest";
import { type Form, formOf, parseAddresses, parseHours, parseNumber, permissionOf } from "../src/features/permissions/form";
import type { Permission } from "../src/shared/api";
import { headline, sentencesOf } from "../src/shared/permission";

const A = `0x${"Ab".repeat(20)}`;
const B = `0x${"12".repeat(20)}`;
const permission: Permission = {
  mode: "ask",
  fields: ["pixels", "label"],
  min_bounty_wei: "500000000000000001",
  max_bond_wei: "100000000000000000",
  max_rounds: 8,
  epsilon_budget: 0.5,
  hours: ["22:00-06:00"],
  timezone: "Europe/Zurich",
  cpu_share: 0.25,
  tokens: [A],
  data_scientists: [A, B],
  denied_data_scientists: [],
  capsules: [],
  denied_capsules: [B],
};

describe("the form", () => {
  test("says again what it was made of, to the last wei", () => {
    expect(permissionOf(formOf(permission))).toEqual({ permission });
    const every = { ...permission, fields: ["*"], epsilon_budget: null };
    expect(permissionOf(formOf(every))).toEqual({ permission: every });
  });

  const faulty: [keyof Form, string, RegExp][] = [
    ["minBounty", "1e3", /./],
    ["minBounty", "-1", /./],
    ["maxBond", "0.0000000000000000001", /./],
    ["maxRounds", "1.5", /whole number/],
    ["maxRounds", "0", /between 1 and 100000/],
    ["epsilon", "0", /between/],
    ["cpuPercent", "101", /between 1 and 100/],
    ["hours", "22:00-6:00", /22:00-6:00 is no span/],
    ["tokens", "0x12", /0x12 is no address/],
  ];
  test.each(faulty)("%s is not %s, and says so at its field only", (name, text, fault) => {
    const read = permissionOf({ ...formOf(permission), [name]: text });
    expect(read).toHaveProperty("faults");
    if ("faults" in read) {
      expect(Object.keys(read.faults)).toEqual([name]);
      expect(read.faults[name]).toMatch(fault);
    }
  });

  test("permits no field only if it permits no campaign", () => {
    expect(permissionOf({ ...formOf(permission), fields: [] })).toHaveProperty("faults.fields");
    expect(permissionOf({ ...formOf(permission), fields: [], mode: "deny" })).toHaveProperty("permission");
  });

  test("lists take any of the usual separators", () => {
    expect(parseAddresses(`${A}, ${B};\n`)).toEqual([A, B]);
    expect(parseHours("22:00-06:00 12:00-13:00")).toEqual(["22:00-06:00", "12:00-13:00"]);
    expect(parseHours("24:00-06:00")).toMatch(/no span/);
    expect(parseNumber("Infinity", 0, 1, false)).toMatch(/write a number/);
  });
});

describe("the sentences", () => {
  test("name every limit that is set", () => {
    const said = sentencesOf("patients", permission).join("\n");
    expect(said).toContain("may use pixels and label of patients, up to 8 gradients each.");
    expect(said).toContain("You are asked about each campaign first.");
    expect(said).toContain("bond of at most 0.1\u00a0ETH");
    expect(said).toMatch(/Only the data scientists 0xAbAb\S+ and 0x1212\S+ are allowed\./);
    expect(said).toMatch(/Any capsules are allowed, but not 0x1212/);
    expect(said).toMatch(/bounties in the token 0xAbAb/);
    expect(said).toContain("until epsilon 0.5 is spent in all.");
    expect(said).toContain("Training happens at 22:00-06:00 (Europe/Zurich) only.");
    expect(said).toContain("at most 25 % of one processor");
  });

  test("say that networks are asked about until a capsule is named", () => {
    const automatic = { ...permission, mode: "automatic" as const, epsilon_budget: null };
    expect(sentencesOf("patients", { ...automatic, capsules: [] }).join("\n")).toContain("train a network you are asked");
    expect(sentencesOf("patients", { ...automatic, capsules: [A] }).join("\n")).toContain("takes part without asking you.");
  });

  test("say no when nothing is permitted", () => {
    expect(sentencesOf("patients", { ...permission, mode: "deny" })).toEqual(["No campaign may use patients."]);
    expect(headline("patients", { ...permission, fields: [] })).toMatch(/no field of it is permitted/);
  });

  test("cut what is long", () => {
    const fields = Array.from({ length: 20 }, (_, at) => `${at}${"x".repeat(100)}`);
    const said = headline("patients", { ...permission, fields });
    expect(said).toContain("and 12 more");
    expect(said.length).toBeLessThan(800);
  });
});
