import { schema } from "@tollgate/db";
import { toMicros } from "@tollgate/kernel";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject } from "../../test/serviceFixture.ts";
import { generateKey, readKey, reportLeakedKey } from "./index.ts";

/** What the keys ask of the emails when one of them has leaked. */
const emails = await vi.hoisted(async () => {
  const { createDouble } = await import("@tollgate/testing/doubles");
  return createDouble<typeof import("../emails/queueEmail.ts")>("emails", ["queueEmail"]);
});
vi.mock("../emails/queueEmail.ts", () => emails.module);

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterEach(() => emails.verify());
afterAll(() => fixture.close());

async function makeKey(mode: "live" | "test") {
  const project = await insertProject(fixture, { name: "Weather maps" });
  const owner = await insertMember(fixture, project.id, "owner");
  const settings = { name: "Production", scopes: ["*"], monthlySpendCapMicros: toMicros(5n) };
  const key = await generateKey({ ctx: fixture.as(owner), input: { projectId: project.id, mode, ...settings } });
  return { project, owner, key };
}

const emailOf = async (customerId: string): Promise<string | undefined> => {
  const rows = await fixture.as().db.select().from(schema.customers);
  return rows.find((row) => row.id === customerId)?.email;
};

describe("a leaked key", () => {
  test("has every owner mailed once, and nobody else, however often it is reported", async () => {
    const { project, owner, key } = await makeKey("live");
    const other = await insertMember(fixture, project.id, "owner");
    await insertMember(fixture, project.id, "admin");
    emails.expects("queueEmail", async () => undefined, 2);
    await reportLeakedKey({ ctx: fixture.as(), input: { key: key.key } });
    await reportLeakedKey({ ctx: fixture.as(), input: { key: key.key } });
    const mails = emails
      .callsOf("queueEmail")
      .map(([ctx, mail]) => ({ ...mail, isInTransaction: ctx.isInTransaction }));
    const data = { keyName: "Production", keyStart: key.key.slice(0, 12), projectName: "Weather maps" };
    const ids = [owner, other].map((actor) => (actor.kind === "customer" ? actor.customerId : ""));
    expect(new Set(mails.map((mail) => mail.to))).toEqual(new Set(await Promise.all(ids.map(emailOf))));
    for (const mail of mails) {
      expect(mail).toMatchObject({ template: "keyLeaked", data, isInTransaction: true });
      expect(JSON.stringify(mail)).not.toContain(key.key);
    }
    expect(new Set(mails.map((mail) => mail.idempotencyKey))).toHaveProperty("size", 2);
  });

  test("of test mode, and a text that is none, has nobody mailed", async () => {
    const { key } = await makeKey("test");
    await reportLeakedKey({ ctx: fixture.as(), input: { key: key.key } });
    await reportLeakedKey({ ctx: fixture.as(), input: { key: "tg_live_made-up" } });
    expect(emails.callsOf("queueEmail")).toEqual([]);
  });

  test("works on if its owners could not be told, so that the report is made again", async () => {
    const { owner, key } = await makeKey("live");
    emails.expects("queueEmail", () => Promise.reject(new Error("No mail can be queued")), 1);
    await expect(reportLeakedKey({ ctx: fixture.as(), input: { key: key.key } })).rejects.toThrow("No mail");
    expect(await readKey({ ctx: fixture.as(owner), input: { id: key.id } })).toMatchObject({ status: "active" });
  });
});
