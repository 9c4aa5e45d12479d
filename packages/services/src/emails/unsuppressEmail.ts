import type { Done, unsuppressEmailInput } from "@tollgate/contracts";
import { emailsUnsuppressed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { addressSubject } from "./suppressEmail.ts";

/** Lets an address get mails again, for operators. One that does is left alone. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function unsuppressEmail({ ctx, input }: Verb<z.output<typeof unsuppressEmailInput>>): Promise<Done> {
  requireAdmin(ctx);
  const { emailSuppressions } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      const [lifted] = await ctx.db
        .delete(emailSuppressions)
        .where(eq(emailSuppressions.email, input.email))
        .returning();
      if (lifted !== undefined) {
        const { reason } = lifted;
        await writeAudit(ctx, {
          action: "emails.unsuppress",
          subject: addressSubject(input.email),
          before: { reason },
        });
        await appendEvent(ctx, emailsUnsuppressed, { reason });
      }
      return { ok: true };
    },
    { isIdempotent: true },
  );
}
