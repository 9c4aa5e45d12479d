import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CallRecord } from "./callRecord.ts";
import { planFold } from "./planFold.ts";

const START_MS = Date.parse("2026-03-10T11:20:00Z");
const TIME_ZONES = new Map([["ba_2", "Asia/Kolkata"]]);

/** Few of everything, so that calls often share some of it and not the rest. */
const call: fc.Arbitrary<CallRecord> = fc
  .record({
    minute: fc.integer({ min: 0, max: 90 }),
    account: fc.constantFrom(1, 2),
    key: fc.constantFrom(1, 2, 3),
    endpoint: fc.constantFrom(1, 2),
    holder: fc.constantFrom(1, 2),
    status: fc.constantFrom(200, 404),
    price: fc.constantFrom(0, 1_000, 2_500),
    units: fc.integer({ min: 1, max: 3 }),
    latencyMs: fc.integer({ min: 0, max: 9 }),
    isCapped: fc.boolean(),
    mode: fc.constantFrom("live" as const, "test" as const),
  })
  .map(({ minute, account, key, endpoint, holder, status, price, units, latencyMs, isCapped, mode }) => {
    const chargedMicros = price * units;
    const billingAccountId = `ba_${account}`;
    const wallet = `wallet:${billingAccountId}=${chargedMicros}`;
    return {
      sequence: 1,
      id: "call_1",
      startedAtMs: START_MS + minute * 60_000,
      holderId: `gw_1.${holder}`,
      billingAccountId,
      projectId: `prj_${account}`,
      keyId: `key_${account}${key}`,
      endpointId: `ep_${endpoint}`,
      mode,
      outcome: "charged",
      status,
      latencyMs,
      units,
      unitPriceMicros: price,
      chargedMicros,
      requestBytes: 0,
      responseBytes: 0,
      draws: price === 0 ? "" : `${wallet}${isCapped ? `,cap:prj_${account}=${chargedMicros}` : ""}`,
    };
  });

const hourStart = (call: CallRecord, offsetMinutes: number): string => {
  const at = new Date(call.startedAtMs + offsetMinutes * 60_000);
  at.setUTCMinutes(0, 0, 0);
  return new Date(at.getTime() - offsetMinutes * 60_000).toISOString();
};

/** The sums of calls by what they have in common, one call after the other. */
function sumBy(
  calls: readonly CallRecord[],
  keysOf: (call: CallRecord) => readonly string[],
  amountsOf: (call: CallRecord, index: number) => readonly number[],
): Map<string, number[]> {
  const sums = new Map<string, number[]>();
  for (const each of calls) {
    for (const [index, key] of keysOf(each).entries()) {
      const amounts = amountsOf(each, index);
      sums.set(
        key,
        (sums.get(key) ?? amounts.map(() => 0)).map((sum, at) => sum + (amounts[at] ?? 0)),
      );
    }
  }
  return sums;
}

/** Rows by their identity. Two of the same identity would be two rows for one place in the database. */
function byIdentity<Row>(rows: readonly Row[], identify: (row: Row) => string, amounts: (row: Row) => number[]) {
  const map = new Map(rows.map((row) => [identify(row), amounts(row)]));
  expect(map.size).toBe(rows.length);
  return map;
}

describe("what a batch adds up to", () => {
  it("is every call's part once, in one row for each place, whatever the calls share", () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 80 }), (calls) => {
        const plan = planFold(calls, TIME_ZONES);
        const usageKey = (
          row: Record<"projectId" | "endpointId" | "keyId" | "mode", string> & { readonly status: number },
        ) => [row.projectId, row.endpointId, row.keyId, row.mode, row.status].join(" ");
        expect(
          byIdentity(
            plan.usage,
            (row) => `${usageKey(row)} ${row.hour}`,
            (row) => [row.calls, row.units, row.chargedMicros, row.latencyMsTotal],
          ),
        ).toEqual(
          sumBy(
            calls,
            (each) => [`${usageKey(each)} ${hourStart(each, each.billingAccountId === "ba_2" ? 330 : 0)}`],
            (each) => [1, each.units, each.chargedMicros, each.latencyMs],
          ),
        );
        expect(
          byIdentity(
            plan.accruals,
            (row) => [row.billingAccountId, row.projectId, row.endpointId, row.unitPriceMicros, row.hour].join(" "),
            (row) => [row.calls, row.units, row.amountMicros],
          ),
        ).toEqual(
          sumBy(
            calls.filter((each) => each.chargedMicros > 0),
            (each) => [
              [each.billingAccountId, each.projectId, each.endpointId, each.unitPriceMicros, hourStart(each, 0)].join(
                " ",
              ),
            ],
            (each) => [1, each.units, each.chargedMicros],
          ),
        );
        const drawsOf = (each: CallRecord): string[][] =>
          each.draws === "" ? [] : each.draws.split(",").map((part) => part.split("="));
        expect(
          byIdentity(
            plan.draws,
            (row) => `${row.holderId} ${row.budgetId}`,
            (row) => [Number(row.amount)],
          ),
        ).toEqual(
          sumBy(
            calls,
            (each) => drawsOf(each).map(([budgetId]) => `${each.holderId} ${budgetId}`),
            (each, index) => [Number(drawsOf(each)[index]?.[1])],
          ),
        );
        expect(plan.chargedMicros).toBe(BigInt(calls.reduce((sum, each) => sum + each.chargedMicros, 0)));
        const lastUsed = new Map<string, number>();
        for (const { keyId, startedAtMs } of calls) {
          lastUsed.set(keyId, Math.max(startedAtMs, lastUsed.get(keyId) ?? 0));
        }
        expect(plan.lastUsedMsByKey).toEqual(lastUsed);
      }),
      { numRuns: 300 },
    );
  });
});
