import type { SignedIn } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, desc, eq } from "drizzle-orm";
import type { TokenContext } from "../src/customers/tokenIssuer.ts";
import { sendEmail } from "../src/emails/index.ts";
import { completeSignup, sendVerificationEmail } from "../src/onboarding/index.ts";
import type { ServiceFixture } from "./serviceFixture.ts";
import { SYSTEM } from "./serviceFixture.ts";

export const PASSWORD = "seven green llamas";

/** What the newest mail to an address says, by sending it to nowhere; undefined if there is none. */
export async function openMail(fixture: ServiceFixture, to: string): Promise<string | undefined> {
  const ctx = fixture.as(SYSTEM);
  const { emails } = schema;
  const [row] = await ctx.db
    .select({ id: emails.id })
    .from(emails)
    .where(and(eq(emails.recipient, to), eq(emails.status, "queued"), eq(emails.sendAt, fixture.clock.now())))
    .orderBy(desc(emails.createdAt))
    .limit(1);
  let text: string | undefined;
  const transport = {
    send: async (mail: { readonly text: string }) => {
      text = mail.text;
    },
    close: async () => {},
  };
  if (row !== undefined) await sendEmail({ ctx, input: { emailId: row.id }, transport });
  return text;
}

/** The code that was just mailed to an address. */
export async function readCode(fixture: ServiceFixture, email: string): Promise<string> {
  const code = /^[0-9A-Z]{8}$/m.exec((await openMail(fixture, email)) ?? "")?.[0];
  if (code === undefined) throw new Error(`No code was mailed to ${email}`);
  return code;
}

/** Asks for a code and reads it. */
export async function mailedCode(fixture: ServiceFixture, email: string): Promise<string> {
  await sendVerificationEmail({ ctx: fixture.as(), input: { email } });
  return readCode(fixture, email);
}

/** A customer who has signed up. */
export async function signUp(
  fixture: ServiceFixture,
  options: { readonly email?: string; readonly ctx?: TokenContext } = {},
): Promise<SignedIn & { readonly email: string }> {
  const email = options.email ?? fixture.newEmail();
  const code = await mailedCode(fixture, email);
  const signedIn = await completeSignup({
    ctx: options.ctx ?? fixture.as(),
    input: { email, code, password: PASSWORD },
  });
  return { ...signedIn, email };
}
