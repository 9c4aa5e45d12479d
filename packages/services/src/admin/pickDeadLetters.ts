import type { pickDeadLettersInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, asc, eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext } from "../context.ts";

export type ParkedRow = typeof schema.parkedEvents.$inferSelect;

const PICKED_MAX = 1_000;

/** The dead letters that an operator means, locked. @throws TollgateError NOT_FOUND for an id of none */
export async function pickDeadLetters(
  ctx: ServiceContext,
  input: z.output<typeof pickDeadLettersInput>,
): Promise<ParkedRow[]> {
  const { parkedEvents } = schema;
  const rows = await ctx.db
    .select()
    .from(parkedEvents)
    .where(
      and(
        eq(parkedEvents.status, "dead"),
        "id" in input ? eq(parkedEvents.id, input.id) : eq(parkedEvents.consumer, input.consumer),
        "id" in input || input.subject === undefined ? undefined : eq(parkedEvents.subject, input.subject),
      ),
    )
    .orderBy(asc(parkedEvents.diedAt), asc(parkedEvents.id))
    .limit(PICKED_MAX)
    .for("update");
  if ("id" in input && rows.length === 0) throw notFound("dead letter");
  return rows;
}
