import type { Email, sendEmailInput } from "@tollgate/contracts";
import { emailsQueued } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { actorName, badRequest, conflict } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { EmailRow } from "./internal.ts";
import { hashRequest, toEmail } from "./internal.ts";
import { insertEmail } from "./queueEmail.ts";
import type { EmailTemplateName } from "./templates/index.ts";
import { EMAIL_TEMPLATES, isEmailTemplate } from "./templates/index.ts";

/**
 * Orders a mail from a template, for services. The same key again with the same mail answers that mail and sends no
 * other; keys of one service are not those of another.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN; BAD_REQUEST that names the field; CONFLICT `idempotency_key_reused`
 */
export async function orderEmail({ ctx, input }: Verb<z.output<typeof sendEmailInput>>): Promise<Email> {
  requireService(ctx);
  const { to, sendAt } = input;
  const template = requireTemplate(input.template);
  const data = requireData(template, input.data);
  const idempotencyKey = `${actorName(ctx.actor)}:${input.idempotencyKey}`;
  const requestHash = hashRequest(ctx.settings.masterSecret, { template, to, data, sendAt });
  return withTransaction(
    ctx,
    async (ctx) => {
      const inserted = await insertEmail(ctx, { template, to, data, sendAt, idempotencyKey, requestHash });
      if (inserted === undefined) return toEmail(await requireSame(ctx, idempotencyKey, requestHash));
      await writeAudit(ctx, { action: "emails.send", subject: inserted.id, after: { template } });
      await appendEvent(ctx, emailsQueued, { emailId: inserted.id, template });
      return toEmail(inserted);
    },
    { isIdempotent: true },
  );
}

function requireTemplate(name: string): EmailTemplateName {
  if (isEmailTemplate(name)) return name;
  const message = `Must be one of ${Object.keys(EMAIL_TEMPLATES).join(", ")}`;
  throw badRequest(`template: ${message}`, { reason: "unknown_template", issues: [{ path: "template", message }] });
}

function requireData(template: EmailTemplateName, data: unknown): unknown {
  const schema: z.ZodType = EMAIL_TEMPLATES[template].data;
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({
    path: z.core.toDotPath(["data", ...path]),
    message,
  }));
  throw badRequest(`data: Is not what the template ${template} must be told`, { reason: "invalid_data", issues });
}

async function requireSame(ctx: ServiceContext, idempotencyKey: string, requestHash: string): Promise<EmailRow> {
  const [row] = await ctx.db.select().from(schema.emails).where(eq(schema.emails.idempotencyKey, idempotencyKey));
  if (row === undefined) throw new Error("A mail that stood in the way cannot be found");
  if (row.requestHash !== requestHash) {
    throw conflict("This idempotency key was used for another mail", { reason: "idempotency_key_reused" });
  }
  return row;
}
