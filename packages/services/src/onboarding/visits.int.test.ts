import { trackInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture } from "../../test/serviceFixture.ts";
import { joinWaitlist, track } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const tell = (input: Record<string, unknown>, ip = "192.0.2.50") =>
  track({ ctx: { ...fixture.as(), ip }, input: trackInput.parse(input) });
const read = async (id: string) => {
  const [row] = await fixture.as().db.select().from(schema.visits).where(eq(schema.visits.id, id));
  return row;
};

test("what was told first stays, and what comes later fills the gaps", async () => {
  const id = newId("request");
  await tell({ id, firstVisit: "2026-01-01T00:00:00Z", referrer: "news.example" });
  await tell({ id, firstVisit: "2026-01-02T00:00:00Z", referrer: "ads.example", email: " Ann@Example.Test" });
  await tell({ id, registration: "2026-01-03T00:00:00Z", email: "other@example.test" });
  expect(await read(id)).toMatchObject({
    firstVisit: new Date("2026-01-01T00:00:00Z"),
    firstVerification: null,
    registration: new Date("2026-01-03T00:00:00Z"),
    referrer: "news.example",
    email: "ann@example.test",
  });
});

test("of many who tell at once, each gap is filled once", async () => {
  const id = newId("request");
  await Promise.all(["a", "b", "c", "d"].map((referrer) => tell({ id, referrer })));
  const first = (await read(id))?.referrer;
  await tell({ id, referrer: "e" });
  expect((await read(id))?.referrer).toBe(first);
});

test.each([{ id: "short" }, { id: "has spaces in it" }, { id: "x".repeat(65) }, { id: newId("request"), email: "no" }])(
  "refuses %o",
  (input) => {
    expect(trackInput.safeParse(input).success).toBe(false);
  },
);

test("one network address cannot fill the tables, and others are not slowed down by it", async () => {
  const id = newId("request");
  for (let nth = 0; nth < 200; nth += 1) await tell({ id }, "192.0.2.66");
  await expect(tell({ id }, "192.0.2.66")).rejects.toMatchObject({ code: "TOO_MANY_REQUESTS" });
  await expect(tell({ id }, "192.0.2.67")).resolves.toEqual({ ok: true });
});

test("an address is on the waiting list once, and the answer is the same", async () => {
  const email = fixture.newEmail();
  const join = () => joinWaitlist({ ctx: fixture.as(), input: { email } });
  expect(await Promise.all([join(), join(), join()])).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
  expect(await fixture.as().db.select().from(schema.waitlist).where(eq(schema.waitlist.email, email))).toHaveLength(1);
});
