import type { Done, joinWaitlistInput } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { tooManyAttempts } from "../customers/throttle.ts";
import { countStranger } from "./strangers.ts";

/** Everybody behind one network address meets at one row. */
const ATTEMPTS_MAX = 40;

/**
 * Puts an address on the waiting list, once. The answer is the same for one that is there.
 * @throws TollgateError TOO_MANY_REQUESTS `too_many_attempts`
 */
export async function joinWaitlist({ ctx, input }: Verb<z.output<typeof joinWaitlistInput>>): Promise<Done> {
  const waitMs = await withTransaction(
    ctx,
    async (ctx) => {
      const waitMs = await countStranger(ctx);
      if (waitMs > 0) return waitMs;
      await ctx.db
        .insert(schema.waitlist)
        .values({ email: input.email, createdAt: ctx.clock.now() })
        .onConflictDoNothing();
      return 0;
    },
    { isIdempotent: true, attemptsMax: ATTEMPTS_MAX },
  );
  if (waitMs > 0) throw tooManyAttempts(waitMs);
  return { ok: true };
}
