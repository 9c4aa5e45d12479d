import { describe, expect, it } from "vitest";
import { EndpointSlots } from "./endpointSlots.ts";
import { GIVE_UP_ENDPOINT_MS, planDelivery, planEndpoint, RETRY_DELAYS_MS } from "./planAttempt.ts";

const NOW = new Date("2026-01-15T12:00:00Z");
const later = (ms: number): Date => new Date(NOW.getTime() + ms);

describe("a delivery", () => {
  it("is tried at 0 s, 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, and then has failed", () => {
    const waits = RETRY_DELAYS_MS.map((_, index) => {
      const plan = planDelivery({ attempts: index + 1, status: 500 }, NOW);
      return plan.kind === "retry" ? (plan.at.getTime() - NOW.getTime()) / 1_000 : plan.kind;
    });
    expect(waits).toEqual([5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400, "failed"]);
  });

  it.each([null, 199, 300, 301, 302, 307, 400, 404, 429, 500, 503])("is tried again after %s", (status) => {
    expect(planDelivery({ attempts: 1, status }, NOW).kind).toBe("retry");
  });

  it.each([200, 202, 204, 299])("has succeeded with %s", (status) => {
    expect(planDelivery({ attempts: 10, status }, NOW)).toEqual({ kind: "succeeded" });
  });

  it("is given up at 410", () => {
    expect(planDelivery({ attempts: 1, status: 410 }, NOW)).toEqual({ kind: "failed" });
  });

  it("waits longer when the receiver asks for it, up to a day, and never shorter", () => {
    const at = (attempts: number, retryAfterMs: number) => planDelivery({ attempts, status: 503, retryAfterMs }, NOW);
    expect(at(1, 60_000)).toEqual({ kind: "retry", at: later(60_000) });
    expect(at(2, 1_000)).toEqual({ kind: "retry", at: later(300_000) });
    expect(at(1, 1e12)).toEqual({ kind: "retry", at: later(86_400_000) });
  });
});

describe("an endpoint", () => {
  it("is failing from its first failure to its next success", () => {
    expect(planEndpoint(null, 500, NOW)).toEqual({ kind: "failing" });
    expect(planEndpoint(NOW, 500, later(1))).toEqual({ kind: "unchanged" });
    expect(planEndpoint(NOW, 200, later(1))).toEqual({ kind: "recovered" });
    expect(planEndpoint(null, 200, NOW)).toEqual({ kind: "unchanged" });
  });

  it("is switched off after five days without a success, and at 410 at once", () => {
    expect(planEndpoint(NOW, null, later(GIVE_UP_ENDPOINT_MS - 1))).toEqual({ kind: "unchanged" });
    expect(planEndpoint(NOW, null, later(GIVE_UP_ENDPOINT_MS))).toEqual({ kind: "disable", reason: "failing" });
    expect(planEndpoint(null, 410, NOW)).toEqual({ kind: "disable", reason: "gone" });
  });
});

describe("slots", () => {
  it("give one endpoint a few and a failing one a single one", () => {
    const slots = new EndpointSlots({ perEndpoint: 2, restrictedMax: 4 });
    expect([slots.enter("a", false), slots.enter("a", false), slots.enter("a", false)].map(Boolean)).toEqual([
      true,
      true,
      false,
    ]);
    expect([slots.enter("b", true), slots.enter("b", true)].map(Boolean)).toEqual([true, false]);
  });

  it("keep those that are failing, however many, out of a part of the process", () => {
    const slots = new EndpointSlots({ perEndpoint: 2, restrictedMax: 3 });
    const dead = Array.from({ length: 10 }, (_, index) => slots.enter(`dead-${index}`, true));
    expect(dead.filter(Boolean)).toHaveLength(3);
    expect(slots.enter("alive", false)).toBeDefined();
    dead[0]?.leave();
    expect(slots.enter("dead-9", true)).toBeDefined();
  });

  it("are those of a failing endpoint for one that was slow when it was last asked, until it is quick", () => {
    const slots = new EndpointSlots({ perEndpoint: 2, restrictedMax: 1 });
    slots.noteAnswer("slow", true);
    const slot = slots.enter("slow", false);
    expect([slot?.isRestricted, slots.enter("slow", false), slots.enter("dead", true)]).toEqual([
      true,
      undefined,
      undefined,
    ]);
    slots.noteAnswer("slow", false);
    slot?.leave();
    expect([slots.enter("slow", false), slots.enter("slow", false)].map((one) => one?.isRestricted)).toEqual([
      false,
      false,
    ]);
  });

  it("tell whoever has one, once, that somebody was turned away", () => {
    const slots = new EndpointSlots({ perEndpoint: 1, restrictedMax: 1 });
    const slot = slots.enter("a", false);
    expect(slots.wasWanted("a")).toBe(false);
    slots.enter("a", false);
    expect([slots.wasWanted("a"), slots.wasWanted("a")]).toEqual([true, false]);
    slot?.leave();
    expect(slots.enter("a", false)).toBeDefined();
  });
});
