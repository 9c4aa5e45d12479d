import { schema, withTransaction } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { reportBounce, sendEmail, suppressEmail, unsubscribe } from "./index.ts";
import type { OutgoingMail } from "./mailTransport.ts";
import { queueEmail } from "./queueEmail.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const WELCOME = { gatewayUrl: "https://gateway.example.test", referenceUrl: "https://api.example.test/reference" };

async function mail(to: string, template: "welcome" | "verification", key: string): Promise<OutgoingMail | undefined> {
  const ctx = fixture.as(SYSTEM);
  await withTransaction(ctx, (ctx) =>
    template === "welcome"
      ? queueEmail(ctx, { template, to, data: WELCOME, idempotencyKey: `${template}:${to}:${key}` })
      : queueEmail(ctx, {
          template,
          to,
          data: { code: "K7QX2M9P", minutes: 5 },
          idempotencyKey: `${template}:${to}:${key}`,
        }),
  );
  const [row] = await ctx.db
    .select()
    .from(schema.emails)
    .where(eq(schema.emails.idempotencyKey, `${template}:${to}:${key}`));
  let sent: OutgoingMail | undefined;
  const transport = {
    send: async (one: OutgoingMail) => {
      sent = one;
    },
    close: async () => {},
  };
  await sendEmail({ ctx, input: { emailId: row?.id ?? "" }, transport });
  return sent;
}
const tokenOf = (sent: OutgoingMail | undefined): string => sent?.unsubscribeUrl?.split("/unsubscribe/")[1] ?? "";
async function reasonFor(email: string): Promise<string | undefined> {
  const { emailSuppressions } = schema;
  const [row] = await fixture.as().db.select().from(emailSuppressions).where(eq(emailSuppressions.email, email));
  return row?.reason;
}

test("a mail that nobody has to get carries a link, which ends that kind of mail and no other", async () => {
  const to = fixture.newEmail();
  const welcome = await mail(to, "welcome", "1");
  expect(welcome?.unsubscribeUrl).toMatch(/^https:\/\/api\.example\.test\/unsubscribe\/v1\./);
  for (const part of [welcome?.text, welcome?.html]) expect(part).toContain(welcome?.unsubscribeUrl);
  // The address is not to be read from a link that ends up in logs.
  expect(welcome?.unsubscribeUrl).not.toContain(to.split("@")[0]);
  const code = await mail(to, "verification", "1");
  expect(code).toBeDefined();
  expect(code?.unsubscribeUrl).toBeUndefined();

  await unsubscribe({ ctx: fixture.as(), input: { token: tokenOf(welcome) } });
  await unsubscribe({ ctx: fixture.as(), input: { token: tokenOf(welcome) } });
  expect(await mail(to, "welcome", "2")).toBeUndefined();
  expect(await mail(to, "verification", "2")).toBeDefined();
});

test("a link that was made up is none", async () => {
  for (const token of ["", "v1.AAAA", "nonsense"]) {
    await expect(unsubscribe({ ctx: fixture.as(), input: { token } })).rejects.toMatchObject({ code: "NOT_FOUND" });
  }
});

test("unsubscribing does not let an address get mails again that gets none at all", async () => {
  const to = fixture.newEmail();
  const token = tokenOf(await mail(to, "welcome", "1"));
  await suppressEmail({ ctx: fixture.as(OPERATOR), input: { email: to, reason: "manual" } });
  await unsubscribe({ ctx: fixture.as(), input: { token } });
  expect(await reasonFor(to)).toBe("manual");
});

test("a service reports what its mail provider says: a bounce or a complaint ends all mails", async () => {
  const to = fixture.newEmail();
  const ctx = fixture.as({ kind: "service", service: "mailer" });
  expect(await reportBounce({ ctx, input: { email: to, reason: "complaint" } })).toMatchObject({ reason: "complaint" });
  expect(await mail(to, "verification", "1")).toBeUndefined();
  await expect(reportBounce({ ctx: fixture.as(), input: { email: to, reason: "bounce" } })).rejects.toMatchObject({
    code: "UNAUTHORIZED",
  });
});
