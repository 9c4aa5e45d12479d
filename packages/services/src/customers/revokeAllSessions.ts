import type { RevokedSessions, revokeAllSessionsInput } from "@tollgate/contracts";
import { customersLoggedOut } from "@tollgate/contracts";
import { appendEvent, withTransaction, writeAudit } from "@tollgate/db";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { endAllSessions } from "./sessions.ts";

/**
 * Signs the caller out on every device, or on every other one. @throws TollgateError UNAUTHORIZED
 */
export async function revokeAllSessions({
  ctx,
  input,
}: Verb<z.output<typeof revokeAllSessionsInput>>): Promise<RevokedSessions> {
  const { customerId, sessionId } = requireCustomer(ctx);
  return withTransaction(ctx, async (ctx) => {
    const ended = await endAllSessions(ctx, customerId, input.keepCurrent ? sessionId : undefined);
    if (ended.length > 0) {
      await writeAudit(ctx, {
        action: "customers.revokeAllSessions",
        subject: customerId,
        after: { sessionIds: ended },
      });
    }
    for (const endedId of ended) await appendEvent(ctx, customersLoggedOut, { customerId, sessionId: endedId });
    return { revoked: ended.length };
  });
}
