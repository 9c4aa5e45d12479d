import { Agent } from "node:http";
import type { Clock } from "@tollgate/kernel";
import { dayPeriod, monthPeriod, systemClock } from "@tollgate/kernel";
import { TEST_CALLS_PER_DAY, testCallsBudgetId } from "@tollgate/services/budgets";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "./testing/client.ts";
import type { LabAccount, LabKey } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";

/** Quotas and caps on several gateways at once, around the instant at which a month or a day ends where the account is. */
const GATEWAYS = 4;
const QUOTA = 30;
const CALLS = 80;
const SECOND_MS = 1_000;

/** Runs like the system's clock, from another instant on: what all gateways of a suite believe it to be. */
class ShiftedClock implements Clock {
  #offsetMs = 0;

  readonly nowMs = (): number => systemClock.nowMs() + this.#offsetMs;
  readonly now = (): Date => new Date(this.nowMs());

  set(atMs: number): void {
    this.#offsetMs = atMs - systemClock.nowMs();
  }
}

let lab: Lab;
let script: string;
let urls: readonly string[];
const clock = new ShiftedClock();
const agent = new Agent({ keepAlive: true, maxSockets: 40 });

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("quota", [
    { name: "free", path: "/free/{script}", priceMicros: 0 },
    { name: "paid", path: "/paid/{script}", freePerMonth: QUOTA },
    { name: "plain", path: "/plain/{script}" },
  ]);
  script = lab.upstream.script((_, response) => response.end("served"));
  const gateways = await Promise.all(Array.from({ length: GATEWAYS }, () => lab.startGateway({}, { clock })));
  urls = gateways.map((gateway) => gateway.url);
});

afterAll(async () => {
  agent.destroy();
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

/** Sends calls to all gateways at once. @returns how many were answered with what status */
async function callAll(endpoint: string, account: LabAccount): Promise<Record<number, number>> {
  const answers = await Promise.all(
    Array.from({ length: CALLS }, (_, index) =>
      call(`${urls[index % GATEWAYS]}/v1/quota/${endpoint}/${script}`, { key: account.key, agent }),
    ),
  );
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

interface Bound {
  readonly what: string;
  readonly endpoint: "free" | "paid" | "plain";
  readonly key: LabKey;
  readonly refusal: number;
}

const MONTHLY: readonly Bound[] = [
  {
    what: "the tier's free calls",
    endpoint: "free",
    key: { freeCallsPerMonth: QUOTA, creditMicros: 0 },
    refusal: 402,
  },
  { what: "an endpoint's free calls", endpoint: "paid", key: { creditMicros: 0 }, refusal: 402 },
  { what: "a project's cap", endpoint: "plain", key: { projectCapMicros: QUOTA * PRICE + 1 }, refusal: 402 },
  { what: "a key's cap", endpoint: "plain", key: { monthlySpendCapMicros: QUOTA * PRICE + 1 }, refusal: 402 },
];

/** Half an hour, three quarters, the far ends of the date, and summer time on both halves of the earth. */
const TIME_ZONES = ["Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns", "Pacific/Auckland"];

describe(`over ${GATEWAYS} gateways`, () => {
  it.each(MONTHLY.map((bound, index) => [bound.what, TIME_ZONES[index] ?? "UTC", bound] as const))(
    "%s: exact in the month of %s, used up until it ends, and all there from its first instant",
    async (_, timeZone, { endpoint, key, refusal }) => {
      const account = await lab.createAccount({ ...key, timeZone });
      const { endMs } = monthPeriod(systemClock.nowMs(), timeZone);
      const spent = { 200: QUOTA, [refusal]: CALLS - QUOTA };
      clock.set(endMs - 3_600 * SECOND_MS);
      expect(await callAll(endpoint, account)).toEqual(spent);
      // Elsewhere the month may have ended already; here it has not.
      clock.set(endMs - 60 * SECOND_MS);
      expect(await callAll(endpoint, account)).toEqual({ [refusal]: CALLS });
      clock.set(endMs);
      expect(await callAll(endpoint, account)).toEqual(spent);
      expect(await callAll(endpoint, account)).toEqual({ [refusal]: CALLS });
    },
  );

  it("calls that are made while the month turns use up no more than both months have", async () => {
    const timeZone = "Australia/Lord_Howe";
    const account = await lab.createAccount({ freeCallsPerMonth: QUOTA, creditMicros: 0, timeZone });
    const { endMs } = monthPeriod(systemClock.nowMs(), timeZone);
    clock.set(endMs - 60 * SECOND_MS);
    const before = callAll("free", account);
    clock.set(endMs);
    const passed = (await before)[200] ?? 0;
    const after = (await callAll("free", account))[200] ?? 0;
    expect(passed).toBeLessThanOrEqual(2 * QUOTA);
    // Whatever the first calls took of the new month, it is used up now, to the call.
    const month = monthPeriod(endMs, timeZone);
    const [row] = await lab.database.sql`
      select used + held as taken from budgets
      where billing_account_id = ${account.billingAccountId} and kind = 'tier_free' and id like ${`%:${month.id}`}`;
    expect(Number(row?.["taken"])).toBe(QUOTA);
    expect(passed + after).toBeGreaterThanOrEqual(QUOTA);
    expect(passed + after).toBeLessThanOrEqual(2 * QUOTA);
  });

  it("test calls end with the day's limit, and begin again with the next day where the account is", async () => {
    const timeZone = "Asia/Kolkata";
    const account = await lab.createAccount({ mode: "test", creditMicros: 0, timeZone });
    const day = dayPeriod(systemClock.nowMs(), timeZone);
    // Most of the day's calls were made.
    await lab.database.sql`
      insert into budgets (id, kind, billing_account_id, limit_amount, overdraft, used, held, created_at, updated_at)
      values (${testCallsBudgetId(account.projectId, day.id)}, 'test_calls', ${account.billingAccountId},
              ${String(TEST_CALLS_PER_DAY)}, 0, ${String(TEST_CALLS_PER_DAY - BigInt(QUOTA))}, 0, now(), now())`;
    clock.set(day.endMs - 60 * SECOND_MS);
    expect(await callAll("plain", account)).toEqual({ 200: QUOTA, 429: CALLS - QUOTA });
    clock.set(day.endMs);
    expect(await callAll("plain", account)).toEqual({ 200: CALLS });
  });
});
