import type { Email, listSentInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAdmin } from "../permissions.ts";
import { toEmail } from "./internal.ts";

/** Mails and what became of them, newest first, for operators. What they said is not kept. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listSentEmails({ ctx, input }: Verb<z.output<typeof listSentInput>>): Promise<Page<Email>> {
  requireAdmin(ctx);
  const { emails } = schema;
  const { to, template, status, cursor, limit } = input;
  const rows = await ctx.db
    .select()
    .from(emails)
    .where(
      and(
        to === undefined ? undefined : eq(emails.recipient, to),
        template === undefined ? undefined : eq(emails.template, template),
        status === undefined ? undefined : eq(emails.status, status),
        afterCursor(emails.createdAt, emails.id, cursor),
      ),
    )
    .orderBy(...newestFirst(emails.createdAt, emails.id))
    .limit(limit + 1);
  return toPage(rows, limit, toEmail);
}
