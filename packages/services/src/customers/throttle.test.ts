import fc from "fast-check";
import { expect, test } from "vitest";
import type { ThrottlePolicy, ThrottleState } from "./throttle.ts";
import { decideAttempt } from "./throttle.ts";

const policy: ThrottlePolicy = { attemptsFree: 3, delayMsMin: 1_000, delayMsMax: 8_000, forgetAfterMs: 60_000 };

/** The waits that come when somebody tries again each time as soon as they may. */
function waitsOf(tries: number): number[] {
  const waits: number[] = [];
  let state: ThrottleState | undefined;
  let nowMs = 0;
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const decision = decideAttempt(state, nowMs, policy);
    if (decision.kind !== "counted") throw new Error("Blocked although the wait is over");
    waits.push(decision.blockedUntilMs - nowMs);
    state = { attempts: decision.attempts, blockedUntilMs: decision.blockedUntilMs, updatedAtMs: nowMs };
    nowMs = decision.blockedUntilMs;
  }
  return waits;
}

test("a few tries are free, and then every wait is twice the one before, up to a limit", () => {
  expect(waitsOf(8)).toEqual([0, 0, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
});

test("a try during a wait is refused with the time that is left, and is not counted", () => {
  const state = { attempts: 4, blockedUntilMs: 5_000, updatedAtMs: 3_000 };
  expect(decideAttempt(state, 4_999, policy)).toEqual({ kind: "blocked", retryAfterMs: 1 });
  expect(decideAttempt(state, 5_000, policy)).toMatchObject({ kind: "counted", attempts: 5 });
});

test("a subject that was left alone starts anew", () => {
  const state = { attempts: 9, blockedUntilMs: 11_000, updatedAtMs: 3_000 };
  expect(decideAttempt(state, 63_000, policy)).toEqual({ kind: "counted", attempts: 1, blockedUntilMs: 63_000 });
  expect(decideAttempt(state, 62_999, policy)).toMatchObject({ attempts: 10 });
});

test("however tries are timed, no more are answered in a minute than the waits allow", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 3_000 }), { minLength: 1, maxLength: 200 }), (gaps) => {
      let state: ThrottleState | undefined;
      let nowMs = 0;
      let answered = 0;
      for (const gapMs of gaps) {
        nowMs += gapMs;
        if (nowMs >= 60_000) break;
        const decision = decideAttempt(state, nowMs, policy);
        if (decision.kind === "blocked") continue;
        answered += 1;
        state = { attempts: decision.attempts, blockedUntilMs: decision.blockedUntilMs, updatedAtMs: nowMs };
      }
      // 3 free, after waits of 1, 2 and 4 s three more, and one for each 8 s that are left of the minute.
      expect(answered).toBeLessThanOrEqual(3 + 3 + Math.ceil((60_000 - 7_000) / 8_000));
    }),
  );
});
