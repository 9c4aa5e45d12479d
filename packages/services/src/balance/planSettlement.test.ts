import type { Micros } from "@tollgate/kernel";
import { toMicros, ZERO_MICROS } from "@tollgate/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { GRANT_PRIORITIES } from "./grantOrder.ts";
import type { SettlementGrant, SettlementPlan } from "./planSettlement.ts";
import { planSettlement } from "./planSettlement.ts";

const HOUR_MS = 3_600_000;
const hour = (n: number): Date => new Date(Date.UTC(2026, 0, 15) + n * HOUR_MS);

function grant(
  id: string,
  micros: number | bigint,
  options: { source?: SettlementGrant["source"]; expiresAtHour?: number } = {},
): SettlementGrant {
  const source = options.source ?? "paid";
  return {
    id,
    source,
    priority: GRANT_PRIORITIES[source],
    createdAt: hour(0),
    expiresAt: options.expiresAtHour === undefined ? null : hour(options.expiresAtHour),
    remainingMicros: toMicros(BigInt(micros)),
    expiredMicros: ZERO_MICROS,
  };
}
const line = (atHour: number, micros: number | bigint) => ({
  hour: hour(atHour),
  amountMicros: toMicros(BigInt(micros)),
});
const posted = (grants: readonly SettlementGrant[]): Micros =>
  toMicros(grants.reduce((sum, each) => sum + each.remainingMicros, 0n));

test("credit is spent soonest expiry first, then promo, subscription and paid", () => {
  const grants = [
    grant("paid", 10),
    grant("subscription", 10, { source: "subscription" }),
    grant("promo", 10, { source: "promo" }),
    grant("late", 10, { source: "promo", expiresAtHour: 9 }),
    grant("soon", 10, { source: "paid", expiresAtHour: 5 }),
  ];
  const plan = planSettlement({ postedMicros: posted(grants), lines: [line(1, 45)], grants, expireThrough: hour(2) });
  expect(plan.consumed).toEqual([
    { grantId: "soon", amountMicros: 10n },
    { grantId: "late", amountMicros: 10n },
    { grantId: "promo", amountMicros: 10n },
    { grantId: "subscription", amountMicros: 10n },
    { grantId: "paid", amountMicros: 5n },
  ]);
});

test("an hour is not paid with credit that expires when it begins, and is with credit that expires when it ends", () => {
  const grants = [grant("before", 10, { expiresAtHour: 3 }), grant("after", 10, { expiresAtHour: 4 })];
  const plan = planSettlement({ postedMicros: posted(grants), lines: [line(3, 15)], grants, expireThrough: hour(4) });
  expect(plan.consumed).toEqual([{ grantId: "after", amountMicros: 10n }]);
  expect(plan.expired).toEqual([{ grantId: "before", amountMicros: 10n }]);
  expect(plan.postedAfterMicros).toBe(-5n);
});

test("credit that came after the hour pays only for what the hour's own credit does not cover", () => {
  const early = grant("early", 30);
  const late = { ...grant("late", 30, { source: "promo", expiresAtHour: 9 }), createdAt: hour(4) };
  const settled = (lines: ReturnType<typeof line>[]) =>
    planSettlement({ postedMicros: toMicros(60n), lines, grants: [early, late], expireThrough: hour(5) }).consumed;
  expect(settled([line(3, 20)])).toEqual([{ grantId: "early", amountMicros: 20n }]);
  expect(settled([line(4, 20)])).toEqual([{ grantId: "late", amountMicros: 20n }]);
  expect(settled([line(3, 40)])).toEqual([
    { grantId: "late", amountMicros: 10n },
    { grantId: "early", amountMicros: 30n },
  ]);
});

test("a call counted after the credit of its hour was taken off still gets it", () => {
  const expired = {
    ...grant("promo", 100, { source: "promo", expiresAtHour: 3 }),
    remainingMicros: ZERO_MICROS,
    expiredMicros: toMicros(60n),
  };
  const plan = planSettlement({
    postedMicros: ZERO_MICROS,
    lines: [line(2, 25), line(3, 5)],
    grants: [expired],
    expireThrough: hour(9),
  });
  expect(plan.restored).toEqual([{ grantId: "promo", amountMicros: 25n }]);
  expect(plan.consumed).toEqual([{ grantId: "promo", amountMicros: 25n }]);
  expect(plan.expired).toEqual([]);
  expect(plan.postedAfterMicros).toBe(-5n);
});

const grantsArbitrary = fc
  .array(
    fc.record({
      micros: fc.bigInt({ min: 1n, max: 300n }),
      source: fc.constantFrom("paid", "promo", "subscription", "adjustment" as const),
      expiresAtHour: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    }),
    { maxLength: 5 },
  )
  .map((all) =>
    all.map(({ micros, source, expiresAtHour }, index) =>
      grant(`g${index}`, micros, { source, ...(expiresAtHour === undefined ? {} : { expiresAtHour }) }),
    ),
  );
const linesArbitrary = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.bigInt({ min: 1n, max: 200n })), {
  minLength: 1,
  maxLength: 8,
});

/** The facts for the next settlement, after a plan was carried out. */
function carryOut(grants: readonly SettlementGrant[], plan: SettlementPlan): SettlementGrant[] {
  const amountOf = (all: SettlementPlan["expired"], id: string) =>
    all.find((each) => each.grantId === id)?.amountMicros ?? 0n;
  return grants.map((each) => ({
    ...each,
    remainingMicros: plan.remainingByGrant.get(each.id) ?? ZERO_MICROS,
    expiredMicros: toMicros(each.expiredMicros + amountOf(plan.expired, each.id) - amountOf(plan.restored, each.id)),
  }));
}

test("what remains of the grants is the posted balance, or nothing when that is below zero, after every settlement", () => {
  fc.assert(
    fc.property(grantsArbitrary, fc.array(linesArbitrary, { maxLength: 4 }), (start, batches) => {
      let grants: SettlementGrant[] = start;
      let postedMicros = posted(start);
      for (const batch of batches) {
        const lines = batch.sort(([a], [b]) => a - b).map(([at, micros]) => line(at, micros));
        const plan = planSettlement({ postedMicros, lines, grants, expireThrough: hour(batch.at(-1)?.[0] ?? 0) });
        grants = carryOut(grants, plan);
        postedMicros = plan.postedAfterMicros;
        expect(posted(grants)).toBe(postedMicros > 0n ? postedMicros : 0n);
      }
    }),
  );
});

test("usage costs the same credit whether it is settled at once, hour by hour, or long after the credit expired", () => {
  fc.assert(
    fc.property(
      grantsArbitrary,
      linesArbitrary,
      fc.array(fc.nat({ max: 100 }), { maxLength: 8 }),
      (start, all, order) => {
        const sorted = [...all].sort(([a], [b]) => a - b);
        const atOnce = planSettlement({
          postedMicros: posted(start),
          lines: sorted.map(([at, micros]) => line(at, micros)),
          grants: start,
          expireThrough: hour(10),
        });
        let grants: SettlementGrant[] = start;
        let postedMicros = posted(start);
        const shuffled = all.map((each, index) => ({ each, key: order[index] ?? 0 })).sort((a, b) => a.key - b.key);
        for (const { each } of shuffled) {
          const plan = planSettlement({ postedMicros, lines: [line(...each)], grants, expireThrough: hour(10) });
          grants = carryOut(grants, plan);
          postedMicros = plan.postedAfterMicros;
        }
        expect(postedMicros).toBe(atOnce.postedAfterMicros);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("the largest amounts are settled to the micro", () => {
  const large = 10n ** 18n;
  const grants = [grant("paid", large)];
  const plan = planSettlement({
    postedMicros: toMicros(large),
    lines: [line(1, large - 1n)],
    grants,
    expireThrough: hour(2),
  });
  expect(plan.postedAfterMicros).toBe(1n);
  expect(plan.remainingByGrant.get("paid")).toBe(1n);
});
