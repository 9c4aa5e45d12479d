import { customersLoggedOut } from "@tollgate/contracts";
import { appendEvent, withTransaction, writeAudit } from "@tollgate/db";
import type { ServiceContext } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { endSession } from "./sessions.ts";

/**
 * Ends the caller's session: its refresh token at once, its access token within a second on every process.
 * @throws TollgateError UNAUTHORIZED
 */
export async function logout({ ctx }: { readonly ctx: ServiceContext }): Promise<{ readonly ok: true }> {
  const { customerId, sessionId } = requireCustomer(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      if (await endSession(ctx, sessionId)) {
        await writeAudit(ctx, { action: "customers.logout", subject: customerId, after: { sessionId } });
        await appendEvent(ctx, customersLoggedOut, { customerId, sessionId });
      }
      return { ok: true };
    },
    { isIdempotent: true },
  );
}
