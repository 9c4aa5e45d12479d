import { schema, withTransaction } from "@tollgate/db";
import { sql } from "drizzle-orm";
import type { Verb } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { Observation, ObservationPlan } from "./planObservation.ts";
import { planObservation } from "./planObservation.ts";

const { statusComponents, statusDays } = schema;

/**
 * Notes how the components were found. Several processes may do this side by side: each moment counts once, because a look
 * only counts the time since the one before. @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function recordObservations({ ctx, input }: Verb<readonly Observation[]>): Promise<void> {
  requireService(ctx);
  const now = ctx.clock.now();
  await withTransaction(
    ctx,
    async ({ db }) => {
      const rows = await db.select().from(statusComponents);
      const previous = new Map(rows.map((row) => [row.name, row]));
      const plans = input.flatMap(
        (observation) => planObservation(previous.get(observation.component), observation, now) ?? [],
      );
      if (plans.length === 0) return;
      await db
        .insert(statusComponents)
        .values(plans.map(({ row }) => row))
        .onConflictDoUpdate({
          target: statusComponents.name,
          set: {
            state: sql`excluded.state`,
            since: sql`excluded.since`,
            failingSince: sql`excluded.failing_since`,
            latencyMs: sql`excluded.latency_ms`,
            checkedAt: sql`excluded.checked_at`,
          },
        });
      const days = plans.flatMap(toDays);
      if (days.length === 0) return;
      await db
        .insert(statusDays)
        .values(days)
        .onConflictDoUpdate({
          target: [statusDays.component, statusDays.day],
          set: {
            upMs: sql`${statusDays.upMs} + excluded.up_ms`,
            degradedMs: sql`${statusDays.degradedMs} + excluded.degraded_ms`,
            downMs: sql`${statusDays.downMs} + excluded.down_ms`,
          },
        });
    },
    { isIdempotent: true },
  );
}

const toDays = ({ row, spans }: ObservationPlan): (typeof statusDays.$inferInsert)[] =>
  spans.map(({ day, state, ms }) => ({
    component: row.name,
    day,
    upMs: state === "up" ? ms : 0,
    degradedMs: state === "degraded" ? ms : 0,
    downMs: state === "down" ? ms : 0,
  }));
