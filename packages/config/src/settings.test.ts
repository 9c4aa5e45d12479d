import { parseMicros } from "@tollgate/kernel";
import { expect, test } from "vitest";
import { z } from "zod";
import { creditShare, defineConfig, microsSetting, SETTINGS, setting, withDefaults } from "./settings.ts";

test("micros are a decimal string in JSON and a bigint in the program", () => {
  expect(z.decode(microsSetting, "1500")).toBe(parseMicros("1500"));
  expect(z.encode(microsSetting, parseMicros("1500"))).toBe("1500");
  for (const wrong of ["", "-1", "1.5", "1e3", "0x10", 1500, null, "9".repeat(19)]) {
    expect(microsSetting.safeParse(wrong).success).toBe(false);
  }
});

test("a table with a default that its schema refuses, or a name that is no name, is not a table", () => {
  const wrongDefault = setting({ schema: z.int().min(1), default: 0, description: "" });
  expect(() => defineConfig({ wrongDefault })).toThrow("The default of wrongDefault is not valid");
  const fine = setting({ schema: z.int(), default: 0, description: "" });
  expect(() => defineConfig({ "a/b": fine })).toThrow("Not a name for a setting: a/b");
});

test("the product's defaults are what the contract says", () => {
  expect(SETTINGS.freeCallOverCapPriceMicros.default).toBe(1n);
  expect(SETTINGS.margin.default).toBe(0.5);
  expect(SETTINGS.leaseSliceSeconds.default).toBe(3);
  expect(SETTINGS.maintenance.default).toBe(false);
});

test("the margin takes what a fraction of four decimals can say, and no more", () => {
  for (const margin of [0, 0.0001, 0.07, 0.29, 0.3, 0.5, 0.5701, 0.9999, 1]) {
    expect(SETTINGS.margin.schema.safeParse(margin).success).toBe(true);
    const { numerator, denominator } = creditShare(margin);
    expect(Number(numerator) / Number(denominator)).toBeCloseTo(1 - margin, 10);
  }
  for (const margin of [-0.1, 1.1, 0.00001, "0.5", null])
    expect(SETTINGS.margin.schema.safeParse(margin).success).toBe(false);
});

test("a process may begin with other defaults, if their schemas take them", () => {
  const table = withDefaults(SETTINGS, { leaseSliceSeconds: 0.5, margin: undefined });
  expect(table.leaseSliceSeconds.default).toBe(0.5);
  expect(table.margin).toBe(SETTINGS.margin);
  expect(SETTINGS.leaseSliceSeconds.default).toBe(3);
  expect(() => withDefaults(SETTINGS, { leaseSliceSeconds: 0 })).toThrow("The default of leaseSliceSeconds");
});
