import fc from "fast-check";
import { expect, test } from "vitest";
import type { ComponentRow } from "./planObservation.ts";
import { BLIND_AFTER_MS, DOWN_AFTER_MS, planObservation, SLOW_MS } from "./planObservation.ts";

const at = (text: string) => new Date(`2026-03-01T${text}Z`);
const look = (hasAnswered: boolean, latencyMs = 5, component: "nats" | "workers" = "nats") => ({
  component,
  hasAnswered,
  latencyMs: hasAnswered ? latencyMs : null,
});

function after(looks: readonly (readonly [string, boolean, number?])[]) {
  let row: ComponentRow | undefined;
  const states = looks.map(([time, hasAnswered, latencyMs]) => {
    row = planObservation(row, look(hasAnswered, latencyMs), at(time))?.row ?? row;
    return row?.state;
  });
  return { row, states };
}

test("one answer that does not come makes a component degraded, silence makes it down, an answer makes it up", () => {
  const { row, states } = after([
    ["10:00:00", true],
    ["10:00:30", false],
    ["10:01:00", false],
    ["10:01:30", false],
    ["10:02:00", true],
  ]);
  expect(states).toEqual(["up", "degraded", "down", "down", "up"]);
  expect(row).toMatchObject({ since: at("10:02:00"), failingSince: null });
});

test("a slow answer is degraded, and the time of a state begins with its first look", () => {
  const { row, states } = after([
    ["10:00:00", true, SLOW_MS + 1],
    ["10:00:30", true, SLOW_MS + 1],
  ]);
  expect(states).toEqual(["degraded", "degraded"]);
  expect(row?.since).toEqual(at("10:00:00"));
});

test("many who look at once are one look: silence is measured in time and not in looks", () => {
  const first = planObservation(undefined, look(false), at("10:00:00"))?.row;
  expect(planObservation(first, look(false), at("10:00:00"))).toBeUndefined();
  expect(planObservation(first, look(false), new Date(at("10:00:00").getTime() + DOWN_AFTER_MS - 1))?.row.state).toBe(
    "degraded",
  );
});

test("time in which nobody looked is of no state, and the workers were away", () => {
  const row = planObservation(undefined, look(true), at("10:00:00"))?.row;
  const later = new Date(at("10:00:00").getTime() + BLIND_AFTER_MS + 1);
  expect(planObservation(row, look(true), later)?.spans).toEqual([]);
  expect(planObservation(row, look(true, 0, "workers"), later)?.spans).toEqual([
    { day: "2026-03-01", state: "down", ms: BLIND_AFTER_MS + 1 },
  ]);
});

test("however the looks fall, the time between them is counted once and on its own day", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 6 * 3_600_000 }), fc.boolean()), { minLength: 1, maxLength: 40 }),
      (steps) => {
        const start = Date.parse("2026-02-27T22:00:00Z");
        let nowMs = start;
        let row = planObservation(undefined, look(true, 0, "workers"), new Date(nowMs))?.row;
        let counted = 0;
        const perDay = new Map<string, number>();
        for (const [stepMs, hasAnswered] of steps) {
          nowMs += stepMs;
          const plan = planObservation(row, look(hasAnswered, 0, "workers"), new Date(nowMs));
          row = plan?.row;
          for (const { day, ms } of plan?.spans ?? []) {
            counted += ms;
            perDay.set(day, (perDay.get(day) ?? 0) + ms);
          }
        }
        expect(counted).toBe(nowMs - start);
        for (const ms of perDay.values()) expect(ms).toBeLessThanOrEqual(86_400_000);
      },
    ),
  );
});
