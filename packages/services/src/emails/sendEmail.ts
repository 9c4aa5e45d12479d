import { retryRead, schema, withTransaction } from "@tollgate/db";
import { and, eq, isNull, lte, or, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { EmailRow } from "./internal.ts";
import { unsealData } from "./internal.ts";
import type { MailAttachment, MailTransport, OutgoingMail } from "./mailTransport.ts";
import { MailRejectedError } from "./mailTransport.ts";
import { suppressBounced } from "./suppressEmail.ts";
import { isEmailTemplate, isOptionalEmail, renderEmail } from "./templates/index.ts";
import { unsubscribeUrl } from "./unsubscribe.ts";

/** A worker that sends a mail has it for so long; longer than the transport's own timeouts. */
const CLAIM_MS = 2 * 60_000;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** The waits after each failure; after the last of them the mail has failed. */
const RETRY_DELAYS_MS = [
  15 * SECOND_MS,
  MINUTE_MS,
  5 * MINUTE_MS,
  15 * MINUTE_MS,
  HOUR_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
  24 * HOUR_MS,
];
const ERROR_CHARACTERS_MAX = 500;

const { emails } = schema;

/** Makes the document of an invoice that goes along with a mail. */
export type InvoiceRenderer = (ctx: ServiceContext, invoiceId: string) => Promise<MailAttachment>;

const refuseToRender: InvoiceRenderer = async () => {
  throw new Error("Nothing here makes documents of invoices");
};

/** `skipped`: it was sent before, is not due, or another worker has it. */
export type SendOutcome = "sent" | "deferred" | "failed" | "suppressed" | "skipped";

/**
 * Sends one mail that is due. Running it twice, also at once, sends once: the row is claimed first. Only a worker that
 * dies between handing over the mail and noting it leads to a second copy, with the same Message-ID. A failure is noted
 * on the row with the time of the next try, which the sweep will order.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function sendEmail({
  ctx,
  input,
  transport,
  renderInvoice = refuseToRender,
}: {
  readonly ctx: ServiceContext;
  readonly input: { readonly emailId: string };
  readonly transport: MailTransport;
  readonly renderInvoice?: InvoiceRenderer;
}): Promise<SendOutcome> {
  requireService(ctx);
  const claimed = await claim(ctx, input.emailId);
  if (claimed === undefined) return "skipped";
  if (await isSuppressed(ctx, claimed)) {
    await note(ctx, claimed, { status: "suppressed", data: {} });
    return "suppressed";
  }
  let failure: unknown;
  try {
    await transport.send(await compose(ctx, claimed, renderInvoice));
  } catch (error) {
    failure = error;
  }
  if (failure === undefined) {
    await note(ctx, claimed, { status: "sent", sentAt: ctx.clock.now(), data: {}, lastError: null });
    return "sent";
  }
  return noteFailure(ctx, claimed, failure);
}

async function claim(ctx: ServiceContext, emailId: string): Promise<EmailRow | undefined> {
  const now = ctx.clock.now();
  return withTransaction(ctx, async (ctx) => {
    const [row] = await ctx.db
      .update(emails)
      .set({ claimedUntil: new Date(now.getTime() + CLAIM_MS), attempts: sql`${emails.attempts} + 1` })
      .where(
        and(
          eq(emails.id, emailId),
          eq(emails.status, "queued"),
          lte(emails.sendAt, now),
          or(isNull(emails.claimedUntil), lte(emails.claimedUntil, now)),
        ),
      )
      .returning();
    return row;
  });
}

/** Whether the recipient gets no mails at all, or has unsubscribed from those of this kind. */
async function isSuppressed(ctx: ServiceContext, email: EmailRow): Promise<boolean> {
  const { emailSuppressions } = schema;
  const [suppression] = await retryRead(() =>
    ctx.db.select().from(emailSuppressions).where(eq(emailSuppressions.email, email.recipient)),
  );
  if (suppression === undefined) return false;
  if (suppression.reason !== "unsubscribe") return true;
  return isEmailTemplate(email.template) && isOptionalEmail(email.template);
}

async function compose(ctx: ServiceContext, email: EmailRow, renderInvoice: InvoiceRenderer): Promise<OutgoingMail> {
  if (!isEmailTemplate(email.template)) throw new MailRejectedError(`No such template: ${email.template}`);
  const { template, recipient } = email;
  const unsubscribe = isOptionalEmail(template) ? unsubscribeUrl(ctx, recipient) : undefined;
  const rendered = renderEmail(template, unsealData(ctx.settings.masterSecret, email.data), unsubscribe);
  const host = new URL(ctx.settings.publicApiUrl).hostname;
  const attachments = email.attachedInvoiceId === null ? [] : [await renderInvoice(ctx, email.attachedInvoiceId)];
  const mail = {
    ...rendered,
    to: recipient,
    messageId: `<${email.id}@${host}>`,
    ...(attachments.length === 0 ? {} : { attachments }),
  };
  return unsubscribe === undefined ? mail : { ...mail, unsubscribeUrl: unsubscribe };
}

async function noteFailure(ctx: ServiceContext, email: EmailRow, failure: unknown): Promise<"deferred" | "failed"> {
  const lastError = describe(failure).slice(0, ERROR_CHARACTERS_MAX);
  const delayMs = failure instanceof MailRejectedError ? undefined : RETRY_DELAYS_MS[email.attempts - 1];
  // Without the error's text: it may quote the recipient.
  const about = { emailId: email.id, template: email.template, attempts: email.attempts };
  if (delayMs === undefined) {
    await note(ctx, email, { status: "failed", lastError, data: {} });
    if (failure instanceof MailRejectedError && failure.isUndeliverable) await suppressBounced(ctx, email.recipient);
    ctx.logger.error(about, "A mail has failed for good");
    return "failed";
  }
  await note(ctx, email, { sendAt: new Date(ctx.clock.nowMs() + delayMs), lastError });
  ctx.logger.warn({ ...about, delayMs }, "A mail could not be sent and will be tried again");
  return "deferred";
}

/**
 * Writes the outcome and lets go of the mail. A failure is written only by the attempt that still has the mail; that it
 * was sent is true whoever has it now.
 */
async function note(ctx: ServiceContext, email: EmailRow, change: Partial<EmailRow>): Promise<void> {
  const isStillOurs = change.status === "sent" ? undefined : eq(emails.attempts, email.attempts);
  await withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .update(emails)
        .set({ ...change, claimedUntil: null })
        .where(and(eq(emails.id, email.id), eq(emails.status, "queued"), isStillOurs));
    },
    { isIdempotent: true },
  );
}

function describe(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  return failure.cause instanceof Error ? `${failure.message}: ${failure.cause.message}` : failure.message;
}
