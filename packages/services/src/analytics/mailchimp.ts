import { createHash } from "node:crypto";
import { schema, withTransaction } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { findCustomer } from "../customers/internal.ts";
import { askSink, basicAuthorization } from "./askSink.ts";
import type { AnalyticsSink } from "./sink.ts";
import { SinkUnavailableError } from "./sink.ts";

export interface MailchimpOptions {
  readonly apiKey: string;
  /** The audience. */
  readonly listId: string;
  /** `https://<data center>.api.mailchimp.com`. */
  readonly apiBase: string;
}

const NAME = "mailchimp";
/** Members are written one by one, because a batch would subscribe again who has unsubscribed. */
const BATCH_MAX = 50;
const SUBJECTS: ReadonlySet<string> = new Set(["customers.signedUp", "customers.updated", "customers.deleted"]);
const { analyticsContacts, emailSuppressions } = schema;

/** Where the data center is part of the key: `…-us21`. */
export const mailchimpBaseOf = (apiKey: string): string => `https://${apiKey.split("-").at(-1)}.api.mailchimp.com`;

/**
 * An audience at Mailchimp hears of who has signed up, of a change of their address, and of who leaves: the address and
 * nothing else. What it is told is how the customer is when it is told, so order and repetition do not matter. Who wants no
 * mails is not added, and who has unsubscribed there is not subscribed again.
 * @see https://mailchimp.com/developer/marketing/api/list-members/
 */
export function createMailchimp(options: MailchimpOptions): AnalyticsSink {
  const ask = (ctx: ServiceContext, method: "POST" | "PUT" | "DELETE", contactId: string, body?: object, action = "") =>
    askSink(ctx, {
      url: `${options.apiBase}/3.0/lists/${options.listId}/members/${contactId}${action}`,
      method,
      headers: { authorization: basicAuthorization("tollgate", options.apiKey) },
      ...(body === undefined ? {} : { body }),
    });

  const bringUpToDate = async (ctx: ServiceContext, customerId: string): Promise<string | undefined> => {
    const customer = await findCustomer(ctx, { id: customerId });
    if (customer === undefined || customer.isInternal) return undefined;
    const known = await findContact(ctx, customerId);
    if (customer.status !== "verified") {
      // They may come back, and whether they had unsubscribed is kept there until the erasure.
      if (known !== undefined) await expectGone(ask(ctx, "DELETE", known));
      return undefined;
    }
    if (await isSuppressed(ctx, customer.email)) return undefined;
    const contactId = contactIdOf(customer.email);
    const { status } = await ask(ctx, "PUT", known ?? contactId, {
      email_address: customer.email,
      status_if_new: "subscribed",
    });
    if (status === 404 && known !== undefined) {
      await saveContact(ctx, customerId, undefined);
      return bringUpToDate(ctx, customerId);
    }
    if (status >= 300) return `Answered ${status}`;
    await saveContact(ctx, customerId, contactId);
    return undefined;
  };

  return {
    name: NAME,
    batchMax: BATCH_MAX,
    describe: ({ subject, customerId }) =>
      SUBJECTS.has(subject) && customerId !== undefined ? { customerId } : undefined,
    send: async (ctx, batch) => {
      const refused = new Map<string, string>();
      const told = new Map<string, string | undefined>();
      for (const { id, customerId } of batch) {
        if (customerId === null) continue;
        if (!told.has(customerId)) told.set(customerId, await bringUpToDate(ctx, customerId));
        const reason = told.get(customerId);
        if (reason !== undefined) refused.set(id, reason);
      }
      return { refused };
    },
    forget: async (ctx, { email, contactId }) => {
      const ids = new Set([contactId, email === null ? null : contactIdOf(email)].filter((id) => id !== null));
      for (const id of ids) await expectGone(ask(ctx, "POST", id, undefined, "/actions/delete-permanent"));
    },
  };
}

/** How Mailchimp names a member: the MD5 of the address in small letters. */
export const contactIdOf = (email: string): string => createHash("md5").update(email.toLowerCase()).digest("hex");

async function expectGone(asked: Promise<{ readonly status: number }>): Promise<void> {
  const { status } = await asked;
  // 404: it never was there. 405: it is archived already.
  if (status >= 300 && status !== 404 && status !== 405) throw new SinkUnavailableError(`Answered ${status}`);
}

async function findContact(ctx: ServiceContext, customerId: string): Promise<string | undefined> {
  const [row] = await ctx.db
    .select({ contactId: analyticsContacts.contactId })
    .from(analyticsContacts)
    .where(and(eq(analyticsContacts.customerId, customerId), eq(analyticsContacts.sink, NAME)));
  return row?.contactId;
}

async function saveContact(ctx: ServiceContext, customerId: string, contactId: string | undefined): Promise<void> {
  const updatedAt = ctx.clock.now();
  await withTransaction(
    ctx,
    async ({ db }) => {
      if (contactId === undefined) {
        await db
          .delete(analyticsContacts)
          .where(and(eq(analyticsContacts.customerId, customerId), eq(analyticsContacts.sink, NAME)));
        return;
      }
      await db
        .insert(analyticsContacts)
        .values({ customerId, sink: NAME, contactId, updatedAt })
        .onConflictDoUpdate({
          target: [analyticsContacts.customerId, analyticsContacts.sink],
          set: { contactId, updatedAt },
        });
    },
    { isIdempotent: true },
  );
}

async function isSuppressed(ctx: ServiceContext, email: string): Promise<boolean> {
  const rows = await ctx.db
    .select({ email: emailSuppressions.email })
    .from(emailSuppressions)
    .where(eq(emailSuppressions.email, email));
  return rows.length > 0;
}
