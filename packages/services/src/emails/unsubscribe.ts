import { emailsSuppressed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound, seal, unseal } from "@tollgate/kernel";
import type { ServiceContext, Verb } from "../context.ts";
import { addressSubject } from "./suppressEmail.ts";

const PURPOSE = "emails.unsubscribe";

/** The link of a mail that one may unsubscribe from. It holds the address, sealed: nobody else can make it, or read it. */
export const unsubscribeUrl = (ctx: ServiceContext, email: string): string =>
  `${ctx.settings.publicApiUrl}/unsubscribe/${seal(ctx.settings.masterSecret, PURPOSE, email)}`;

/** @throws TollgateError NOT_FOUND for a link that this system did not make */
export function readUnsubscribe({ ctx, input }: Verb<{ readonly token: string }>): { readonly email: string } {
  try {
    return { email: unseal(ctx.settings.masterSecret, PURPOSE, input.token) };
  } catch {
    throw notFound("unsubscribe link");
  }
}

/**
 * Stops the mails to an address that one may unsubscribe from. The link is the permission. An address that gets no mails
 * at all for another reason stays that way. @throws TollgateError NOT_FOUND for a link that this system did not make
 */
export async function unsubscribe({ ctx, input }: Verb<{ readonly token: string }>): Promise<void> {
  const { email } = readUnsubscribe({ ctx, input });
  const { emailSuppressions } = schema;
  await withTransaction(
    ctx,
    async (ctx) => {
      const written = await ctx.db
        .insert(emailSuppressions)
        .values({ email, reason: "unsubscribe", createdAt: ctx.clock.now() })
        .onConflictDoNothing({ target: emailSuppressions.email })
        .returning({ email: emailSuppressions.email });
      if (written.length === 0) return;
      const after = { reason: "unsubscribe" } as const;
      await writeAudit(ctx, { action: "emails.unsubscribe", subject: addressSubject(email), after });
      await appendEvent(ctx, emailsSuppressed, after);
    },
    { isIdempotent: true },
  );
}
