import type { Done, trackInput } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { sql } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { tooManyAttempts } from "../customers/throttle.ts";
import { countStranger } from "./strangers.ts";

/** Everybody behind one network address meets at one row. */
const ATTEMPTS_MAX = 40;
const { visits } = schema;

/**
 * Notes how a visitor came. What was told first stays, and what is told later fills the gaps, in whatever order and
 * however often it comes. @throws TollgateError TOO_MANY_REQUESTS `too_many_attempts`
 */
export async function track({ ctx, input }: Verb<z.output<typeof trackInput>>): Promise<Done> {
  const now = ctx.clock.now();
  const waitMs = await withTransaction(
    ctx,
    async (ctx) => {
      const waitMs = await countStranger(ctx);
      if (waitMs > 0) return waitMs;
      const { id, firstVisit, firstVerification, registration, referrer, email } = input;
      const told = { firstVisit, firstVerification, registration, referrer, email };
      await ctx.db
        .insert(visits)
        .values({ id, ...told, createdAt: now, updatedAt: now })
        .onConflictDoUpdate({
          target: visits.id,
          set: {
            firstVisit: first(visits.firstVisit),
            firstVerification: first(visits.firstVerification),
            registration: first(visits.registration),
            referrer: first(visits.referrer),
            email: first(visits.email),
            updatedAt: now,
          },
        });
      return 0;
    },
    { isIdempotent: true, attemptsMax: ATTEMPTS_MAX },
  );
  if (waitMs > 0) throw tooManyAttempts(waitMs);
  return { ok: true };
}

/** What is there, or else what is told now. */
const first = (column: AnyPgColumn) => sql`coalesce(${column}, ${sql.raw(`excluded."${column.name}"`)})`;
