import { emailsSend } from "@tollgate/contracts";
import { appendJob, schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
import { isInternalAddress } from "../customers/internalAddress.ts";
import type { EmailRow } from "./internal.ts";
import { sealData } from "./internal.ts";
import type { EmailTemplateData, EmailTemplateName } from "./templates/index.ts";
import { EMAIL_TEMPLATES } from "./templates/index.ts";

export interface QueuedEmail<Name extends EmailTemplateName> {
  readonly template: Name;
  readonly to: string;
  readonly data: EmailTemplateData<Name>;
  /** Not before this instant. Without it, now. */
  readonly sendAt?: Date;
  /** Unique over all mails: the same key again queues nothing. */
  readonly idempotencyKey: string;
  /** Goes along as a PDF. Whoever queues the mail vouches that the recipient may have it. */
  readonly attachedInvoiceId?: string;
  /** Nobody is to get it: it is cancelled from the start, and costs as much as one that is sent. */
  readonly isDecoy?: boolean;
}

/**
 * Queues a mail inside the transaction that it speaks of: it goes out if that commits, and never otherwise. A mail for
 * later gets no job; the sweep orders it when it is due.
 */
export async function queueEmail<Name extends EmailTemplateName>(
  ctx: ServiceContext,
  email: QueuedEmail<Name>,
): Promise<void> {
  const data = EMAIL_TEMPLATES[email.template].data.parse(email.data);
  await insertEmail(ctx, { ...email, data });
}

/**
 * Writes a mail whose data fits its template, inside a transaction, and orders it if it is due.
 * @returns undefined if a mail with its key is there already
 */
export async function insertEmail(
  ctx: ServiceContext,
  email: {
    readonly template: EmailTemplateName;
    readonly to: string;
    readonly data: unknown;
    readonly sendAt?: Date | undefined;
    readonly idempotencyKey: string;
    readonly attachedInvoiceId?: string;
    readonly isDecoy?: boolean;
    readonly requestHash?: string;
  },
): Promise<EmailRow | undefined> {
  if (!ctx.isInTransaction) throw new Error(`The mail ${email.template} must be queued inside a transaction`);
  const now = ctx.clock.now();
  const sendAt = email.sendAt ?? now;
  // There is nobody behind such an address. The self-test reads what it needs from the row.
  const isInternal = isInternalAddress(email.to);
  const [row] = await ctx.db
    .insert(schema.emails)
    .values({
      id: newId("email"),
      template: email.template,
      recipient: email.to,
      data: sealData(ctx.settings.masterSecret, email.data),
      status: isInternal ? "suppressed" : email.isDecoy === true ? "cancelled" : "queued",
      idempotencyKey: email.idempotencyKey,
      requestHash: email.requestHash ?? null,
      attachedInvoiceId: email.attachedInvoiceId ?? null,
      createdAt: now,
      sendAt,
    })
    .onConflictDoNothing({ target: schema.emails.idempotencyKey })
    .returning();
  if (row !== undefined && sendAt <= now && !isInternal) await appendJob(ctx, emailsSend, { emailId: row.id });
  return row;
}
