import type { GrantSource } from "@tollgate/contracts";
import { newId, TollgateError } from "@tollgate/kernel";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { checkBooks } from "../checks/index.ts";
import { creditWallet, decrementBalance, readBalance, settleAccount } from "./index.ts";

/**
 * A wallet against a model of it: random credits with and without expiry, calls on time and late, debits, settlements
 * and the passing of time. The model knows no ledger, no accruals and no expiry entries; it only knows which credit was
 * good when.
 */
const HOUR_MS = 3_600_000;
const SOURCES: GrantSource[] = ["promo", "subscription", "adjustment", "paid"];

interface ModelGrant {
  remaining: bigint;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly rank: number;
}
interface ModelCall {
  readonly hourMs: number;
  readonly amount: bigint;
}

class Model {
  grants: ModelGrant[] = [];
  calls: ModelCall[] = [];

  take(grants: ModelGrant[], amount: bigint): void {
    let left = amount;
    const ordered = [...grants].sort((a, b) =>
      a.expiresAtMs === b.expiresAtMs
        ? a.rank - b.rank || this.grants.indexOf(a) - this.grants.indexOf(b)
        : a.expiresAtMs < b.expiresAtMs
          ? -1
          : 1,
    );
    for (const grant of ordered) {
      const part = left < grant.remaining ? left : grant.remaining;
      grant.remaining -= part;
      left -= part;
    }
    if (left > 0n) throw new Error("The model was asked for more than there is");
  }

  /** Pays for the calls of past hours. */
  settle(nowMs: number): void {
    const hourNow = nowMs - (nowMs % HOUR_MS);
    const due = this.calls.filter((call) => call.hourMs < hourNow).sort((a, b) => a.hourMs - b.hourMs);
    for (const call of due) {
      const good = this.grants.filter((grant) => grant.expiresAtMs > call.hourMs);
      const own = good.filter((grant) => grant.createdAtMs < call.hourMs + HOUR_MS);
      const ownSum = own.reduce((sum, grant) => sum + grant.remaining, 0n);
      this.take(own, call.amount < ownSum ? call.amount : ownSum);
      if (call.amount > ownSum) this.take(good, call.amount - ownSum);
    }
    this.calls = this.calls.filter((call) => call.hourMs >= hourNow);
  }

  copy(): Model {
    const copy = new Model();
    copy.grants = this.grants.map((grant) => ({ ...grant }));
    copy.calls = [...this.calls];
    return copy;
  }

  /** What the customer owns: good credit that no call has a claim to. */
  owned(nowMs: number): bigint {
    const settled = this.copy();
    settled.settle(nowMs);
    const good = settled.grants.filter((grant) => grant.expiresAtMs > nowMs);
    const claimed = settled.calls.reduce((sum, call) => sum + call.amount, 0n);
    return good.reduce((sum, grant) => sum + grant.remaining, 0n) - claimed;
  }

  /** Whether calls of an hour could be paid with what was good then, without anything else going short. */
  canUse(hourMs: number, amount: bigint, nowMs: number): boolean {
    const trial = this.copy();
    trial.calls.push({ hourMs, amount });
    try {
      return trial.owned(nowMs) >= 0n;
    } catch {
      return false;
    }
  }
}

type Step =
  | { kind: "credit"; amount: bigint; source: GrantSource; hours: number | null }
  | { kind: "use"; amount: bigint; hoursAgo: number }
  | { kind: "debit"; amount: bigint }
  | { kind: "settle" }
  | { kind: "wait"; minutes: number };

const amount = fc.bigInt({ min: 1n, max: 1_000n });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("credit" as const),
    amount,
    source: fc.constantFrom(...SOURCES),
    hours: fc.option(fc.integer({ min: 1, max: 5 }), { nil: null }),
  }),
  fc.record({ kind: fc.constant("use" as const), amount, hoursAgo: fc.constantFrom(0, 0, 0, 1, 2) }),
  fc.record({ kind: fc.constant("debit" as const), amount }),
  fc.record({ kind: fc.constant("settle" as const) }),
  fc.record({ kind: fc.constant("wait" as const), minutes: fc.constantFrom(7, 60, 61, 150) }),
);

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

async function perform(account: { billingAccountId: string; projectId: string }, model: Model, step: Step) {
  const { billingAccountId, projectId } = account;
  const system = fixture.as(SYSTEM);
  const nowMs = fixture.clock.nowMs();
  const hourNow = nowMs - (nowMs % HOUR_MS);
  switch (step.kind) {
    case "credit": {
      const expiresAt = step.hours === null ? undefined : new Date(nowMs + step.hours * HOUR_MS - 1);
      const base = { billingAccountId, idempotencyKey: newId("job"), reference: "Model", visible: true };
      await creditWallet(system, { ...base, micros: micros(step.amount), source: step.source, expiresAt });
      const expiresAtMs = expiresAt === undefined ? Infinity : Math.ceil(expiresAt.getTime() / HOUR_MS) * HOUR_MS;
      const rank = SOURCES.indexOf(step.source);
      model.grants.push({ remaining: step.amount, createdAtMs: nowMs, expiresAtMs, rank });
      return;
    }
    case "use": {
      const hourMs = hourNow - step.hoursAgo * HOUR_MS;
      if (!model.canUse(hourMs, step.amount, nowMs)) return;
      const call = { billingAccountId, projectId, endpointId: "ep_00000001", at: new Date(hourMs + 1) };
      await makeCalls(fixture, [{ ...call, chargedMicros: micros(step.amount) }]);
      model.calls.push({ hourMs, amount: step.amount });
      return;
    }
    case "debit": {
      const base = { billingAccountId, idempotencyKey: newId("job"), reference: "Model", visible: true };
      const debit = decrementBalance({ ctx: fixture.as(OPERATOR), input: { ...base, micros: micros(step.amount) } });
      if (model.owned(nowMs) < step.amount) {
        await expect(debit).rejects.toBeInstanceOf(TollgateError);
        return;
      }
      await debit;
      model.settle(nowMs);
      const good = model.grants.filter((grant) => grant.expiresAtMs > nowMs);
      model.take(good, step.amount);
      return;
    }
    case "settle":
      await settleAccount({ ctx: system, input: { billingAccountId, before: new Date(hourNow) } });
      model.settle(nowMs);
      return;
    case "wait":
      fixture.clock.advanceMs(step.minutes * 60_000);
  }
}

test("a wallet is worth what a simple model says after every step, and its books always balance", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const project = await insertProject(fixture);
      const account = { billingAccountId: project.billingAccountId, projectId: project.id };
      const ctx = fixture.as(SYSTEM);
      const model = new Model();
      for (const each of steps) {
        await perform(account, model, each);
        // The order of creation breaks ties between grants, so no two are made in the same millisecond.
        fixture.clock.advanceMs(1);
        const { balance } = await readBalance({ ctx, input: { billingAccountId: account.billingAccountId } });
        expect(balance).toBe(model.owned(fixture.clock.nowMs()));
      }
      const broken = (await checkBooks({ ctx })).filter((result) => !result.ok);
      expect(broken).toEqual([]);
    }),
    { numRuns: 40 },
  );
}, 120_000);
