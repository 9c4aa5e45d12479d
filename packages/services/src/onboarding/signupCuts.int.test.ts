import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dieWhile } from "../../test/dyingProcess.ts";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor } from "../../test/serviceFixture.ts";
import { mailedCode, PASSWORD, readCode } from "../../test/signUp.ts";
import { login, readMe } from "../customers/index.ts";
import { completeSignup, sendVerificationEmail } from "./index.ts";

let fixture: ServiceFixture;
const buried: Promise<void>[] = [];
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(async () => {
  await Promise.all(buried);
  await fixture.close();
});

const ANONYMOUS = { kind: "anonymous" } as const;
const MOMENTS = ["before", "after"] as const;

/** Exactly one of everything that a sign-up makes, and a way in. */
async function expectSignedUp(email: string, customerId: string): Promise<void> {
  const me = await readMe({ ctx: fixture.as(customerActor(customerId)) });
  expect(me).toMatchObject({ customer: { status: "verified" }, projects: [{ role: "owner" }] });
  expect(me.projects).toHaveLength(1);
  expect(me.billingAccounts).toHaveLength(1);
  const rows = await fixture.as().db.select().from(schema.outbox);
  const events = rows.filter((row) => row.payload["customerId"] === customerId).map((row) => row.name);
  for (const name of ["customers.created", "customers.verified", "customers.signedUp", "projects.created"]) {
    expect(events.filter((event) => event === name)).toHaveLength(1);
  }
  const { emails } = schema;
  const mails = await fixture.as().db.select().from(emails).where(eq(emails.recipient, email));
  expect(mails.filter((mail) => mail.template === "welcome")).toHaveLength(1);
  await expect(login({ ctx: fixture.as(), input: { email, password: PASSWORD } })).resolves.toBeDefined();
}

test.each(MOMENTS)(
  "a process that dies %s the COMMIT of a mailed code loses nothing: asking again works",
  async (moment) => {
    const email = fixture.newEmail();
    const death = await dieWhile(fixture, ANONYMOUS, { moment, commit: 1 }, (ctx) =>
      sendVerificationEmail({ ctx, input: { email } }),
    );
    expect(death.hasDied).toBe(true);
    buried.push(death.buried);
    // What was committed is mailed although its process is gone; what was not can be asked for at once.
    const code = moment === "after" ? await readCode(fixture, email) : await mailedCode(fixture, email);
    const { customer } = await completeSignup({ ctx: fixture.as(), input: { email, code, password: PASSWORD } });
    await expectSignedUp(email, customer.id);
  },
);

// The first COMMIT checks the code, the second does everything that a sign-up is.
test.each([1, 2].flatMap((commit) => MOMENTS.map((moment) => ({ commit, moment }))))(
  "a sign-up whose process dies $moment COMMIT $commit is finished by the same request again",
  async (at) => {
    const email = fixture.newEmail();
    const code = await mailedCode(fixture, email);
    const input = { email, code, password: PASSWORD };
    const death = await dieWhile(fixture, ANONYMOUS, at, (ctx) => completeSignup({ ctx, input }));
    expect(death.hasDied).toBe(true);
    buried.push(death.buried);
    const { customer } = await completeSignup({ ctx: fixture.as(), input });
    await expectSignedUp(email, customer.id);
  },
);
