import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture } from "../../test/serviceFixture.ts";
import { recover } from "../onboarding/index.ts";
import { login } from "./index.ts";
import { hashPassword } from "./passwords.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const SAMPLES = 60;
/**
 * How far the chance that a random answer for a known address takes longer than one for an unknown address may be from
 * one half (the Mann–Whitney statistic, as a fraction). For two equal distributions its deviation is 0.053 with so many
 * samples, so this is more than four deviations; an answer that leaves out the hash or a statement is near 0 or 1.
 */
const BIAS_MAX = 0.24;

/** Customers with a password of their own, made in two statements. */
async function newCustomers(count: number): Promise<string[]> {
  const { db } = fixture.as();
  const now = fixture.clock.now();
  const hash = await hashPassword("seven green llamas");
  const people = Array.from({ length: count }, () => ({ id: newId("customer"), email: fixture.newEmail() }));
  await db
    .insert(schema.customers)
    .values(people.map((person) => ({ ...person, status: "verified" as const, createdAt: now, updatedAt: now })));
  await db.insert(schema.passwords).values(people.map((person) => ({ customerId: person.id, hash, updatedAt: now })));
  return people.map((person) => person.email);
}

/** Times both kinds in turn, so that whatever else the machine does meets both alike. */
async function measure(ask: (email: string, nth: number) => Promise<unknown>) {
  const known = await newCustomers(SAMPLES + 5);
  const times = { known: [] as number[], unknown: [] as number[] };
  for (const [nth, email] of known.entries()) {
    const turns = [
      { kind: "known" as const, email },
      { kind: "unknown" as const, email: fixture.newEmail() },
    ];
    for (const { kind, email } of nth % 2 === 0 ? turns : turns.toReversed()) {
      const startedAt = performance.now();
      await ask(email, nth);
      // The first few pay for connections and compiled code.
      if (nth >= 5) times[kind].push(performance.now() - startedAt);
    }
  }
  return times;
}

/** The share of pairs in which the first takes longer. */
function shareLonger(first: readonly number[], second: readonly number[]): number {
  let longer = 0;
  for (const one of first) for (const other of second) longer += one > other ? 1 : one === other ? 0.5 : 0;
  return longer / (first.length * second.length);
}

test("the measure sees a difference that is smaller than the spread of the times", () => {
  const even = Array.from({ length: SAMPLES }, (_, nth) => 30 + nth / 10);
  expect(shareLonger(even, even)).toBe(0.5);
  expect(
    shareLonger(
      even.map((time) => time + 4),
      even,
    ),
  ).toBeGreaterThan(0.5 + BIAS_MAX);
});

test("a wrong password takes as long for an address that has an account as for one that has none", async () => {
  const times = await measure((email, nth) =>
    login({ ctx: { ...fixture.as(), ip: `198.51.100.${nth}` }, input: { email, password: "wrong" } }).catch(
      (error: { reason?: string }) => {
        if (error.reason !== "wrong_credentials") throw error;
      },
    ),
  );
  expect(Math.abs(shareLonger(times.known, times.unknown) - 0.5)).toBeLessThan(BIAS_MAX);
});

test("asking for recovery takes as long for an address that has an account as for one that has none", async () => {
  const times = await measure((email) => recover({ ctx: fixture.as(), input: { email } }));
  expect(Math.abs(shareLonger(times.known, times.unknown) - 0.5)).toBeLessThan(BIAS_MAX);
});
