import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

/**
 * The time zone of the machine does not matter. What depends on time zones is tested again by processes that have another
 * zone: one with half an hour in it, and one whose day is nearly always another than that of UTC. What these tests expect are
 * instants, so it is the same as in UTC.
 */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FILES = [
  "packages/kernel/src/periods.test.ts",
  "packages/kernel/src/billingPeriods.test.ts",
  "packages/kernel/src/localHours.test.ts",
  "packages/services/src/outbound/retryAfter.test.ts",
  "apps/gateway/src/identity/caller.test.ts",
  "packages/services/src/usage/timeZones.int.test.ts",
  "packages/services/src/billing/invoices/invoices.int.test.ts",
];
const ZONES = [
  { zone: "America/St_Johns", offsetMinutes: -210 },
  { zone: "Pacific/Kiritimati", offsetMinutes: 840 },
];
const WINTER = "2026-01-15T12:00:00Z";
const run = promisify(execFile);

const reportSchema = z.object({
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })) })),
});

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-zones-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A process in another zone. What this one runs under must not tell the other that it is a part of it. */
function runIn(zone: string, args: readonly string[]): Promise<{ stdout: string }> {
  const own = Object.entries(process.env).filter(([name]) => !/^VITEST|^TEST$/.test(name));
  return run(process.execPath, args, { cwd: ROOT, env: { ...Object.fromEntries(own), TZ: zone } });
}

/** Every test of the files and what became of it. */
async function testIn(zone: string): Promise<Record<string, string>> {
  const file = path.join(dir, `${zone.replace("/", "-")}.json`);
  const vitest = path.join(ROOT, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", ...FILES, "--reporter=json", `--outputFile=${file}`];
  await runIn(zone, args).catch((error: Error) => {
    if (!/Command failed/.test(error.message)) throw error;
  });
  const report = reportSchema.parse(JSON.parse(await readFile(file, "utf8")));
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  return Object.fromEntries(results.map(({ fullName, status }) => [fullName, status]));
}

describe("what depends on time zones", () => {
  it.each(ZONES)("comes to the same where the machine is in $zone", async ({ zone, offsetMinutes }) => {
    const { stdout } = await runIn(zone, ["-p", `0 - new Date("${WINTER}").getTimezoneOffset()`]);
    expect(Number(stdout)).toBe(offsetMinutes);
    const results = await testIn(zone);
    expect(Object.entries(results).filter(([, status]) => status !== "passed")).toEqual([]);
    expect(Object.keys(results).length).toBeGreaterThan(60);
  });
});
