import { emailsSend } from "@tollgate/contracts";
import { appendJob, schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
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
}

/**
 * Queues a mail inside the transaction that it speaks of: it goes out if that commits, and never otherwise. A mail for
 * later gets no job; the sweep orders it when it is due.
 */
export async function queueEmail<Name extends EmailTemplateName>(
  ctx: ServiceContext,
  email: QueuedEmail<Name>,
): Promise<void> {
  if (!ctx.isInTransaction) throw new Error(`The mail ${email.template} must be queued inside a transaction`);
  const now = ctx.clock.now();
  const sendAt = email.sendAt ?? now;
  const data = EMAIL_TEMPLATES[email.template].data.parse(email.data);
  const [row] = await ctx.db
    .insert(schema.emails)
    .values({
      id: newId("email"),
      template: email.template,
      recipient: email.to,
      data: sealData(ctx.settings.masterSecret, data),
      status: "queued",
      idempotencyKey: email.idempotencyKey,
      createdAt: now,
      sendAt,
    })
    .onConflictDoNothing({ target: schema.emails.idempotencyKey })
    .returning({ id: schema.emails.id });
  if (row !== undefined && sendAt <= now) await appendJob(ctx, emailsSend, { emailId: row.id });
}
