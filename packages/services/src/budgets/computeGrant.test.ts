import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { availableOf, computeGrant } from "./computeGrant.ts";

const amount = fc.bigInt({ min: 0n, max: 10n ** 12n });
const budget = fc.record({ limit: amount, overdraft: amount, used: amount, held: amount });
const request = fc
  .record({ granule: fc.bigInt({ min: 1n, max: 10_000n }), calls: fc.bigInt({ min: 0n, max: 500n }), reserve: amount })
  .map(({ granule, calls, reserve }) => ({ granule, demand: granule * calls, want: granule * calls + reserve }));

describe("computeGrant", () => {
  it("never grants more than is available, nor less than nothing", () => {
    fc.assert(
      fc.property(budget, request, (facts, wanted) => {
        const grant = computeGrant(facts, wanted);
        const available = availableOf(facts);
        expect(grant >= 0n && (grant === 0n || grant <= available)).toBe(true);
      }),
    );
  });

  it("grants the calls that are waiting whenever they fit", () => {
    fc.assert(
      fc.property(budget, request, (facts, wanted) => {
        fc.pre(wanted.demand <= availableOf(facts));
        expect(computeGrant(facts, wanted) >= wanted.demand).toBe(true);
      }),
    );
  });

  it("grants whole calls when not all that are waiting fit, so no part of a call lies idle", () => {
    const facts = { limit: 2_550n, overdraft: 0n, used: 0n, held: 0n };
    expect(computeGrant(facts, { demand: 5_000n, granule: 1_000n, want: 5_000n })).toBe(2_000n);
  });

  it("keeps no reserve when little is left", () => {
    const facts = { limit: 10_000n, overdraft: 0n, used: 0n, held: 0n };
    expect(computeGrant(facts, { demand: 1_000n, granule: 1_000n, want: 100_000n })).toBe(1_000n);
    expect(computeGrant({ ...facts, limit: 64_000n }, { demand: 1_000n, granule: 1_000n, want: 100_000n })).toBe(
      5_000n,
    );
  });
});
