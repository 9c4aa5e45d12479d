import type { LiveBalance, liveBalanceInput } from "@tollgate/contracts";
import { actorName } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import type { LiveOpening } from "../live/index.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { readBalance } from "./readBalance.ts";

/** Credit that comes from outside, and expiry, are seen by looking; usage is told. */
const EVERY_MS = 1_000;

/** What a wallet holds, as it changes. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function watchBalance({
  ctx,
  input,
}: Verb<z.output<typeof liveBalanceInput>>): Promise<LiveOpening<LiveBalance>> {
  const { billingAccountId } = input;
  const require = () => requireAccountAdmin(ctx, billingAccountId, { orMember: true, orAdmin: true });
  await require();
  return {
    permission: { key: `balance.live ${billingAccountId} ${actorName(ctx.actor)}`, require },
    topic: {
      key: `balance.live ${billingAccountId}`,
      everyMs: EVERY_MS,
      isTouchedBy: ({ subject, data }) =>
        subject === "usage" &&
        Array.isArray(data["billingAccountIds"]) &&
        data["billingAccountIds"].includes(billingAccountId),
      // Watchers share readings, so what is read must not depend on whose permission is still good: the topic's own does.
      read: async () => {
        const { grants: _grants, ...state } = await readBalance({
          ctx: { ...ctx, actor: { kind: "system", task: "balance.live" } },
          input: { billingAccountId },
        });
        return state;
      },
    },
  };
}
