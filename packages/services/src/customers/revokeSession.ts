import type { Done, sessionIdInput } from "@tollgate/contracts";
import { customersLoggedOut } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { endSession } from "./sessions.ts";

/**
 * Signs one of the caller's devices out: its refresh token at once, its access token within a second on every process. A
 * session that is over stays over. @throws TollgateError UNAUTHORIZED; NOT_FOUND, also for everybody else's
 */
export async function revokeSession({ ctx, input }: Verb<z.output<typeof sessionIdInput>>): Promise<Done> {
  const { customerId } = requireCustomer(ctx);
  const { sessions } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      const [session] = await ctx.db
        .select({ id: sessions.id })
        .from(sessions)
        .where(and(eq(sessions.id, input.id), eq(sessions.customerId, customerId)));
      if (session === undefined) throw notFound("session");
      if (await endSession(ctx, session.id)) {
        await writeAudit(ctx, {
          action: "customers.revokeSession",
          subject: customerId,
          after: { sessionId: session.id },
        });
        await appendEvent(ctx, customersLoggedOut, { customerId, sessionId: session.id });
      }
      return { ok: true };
    },
    { isIdempotent: true },
  );
}
