import type { TransactionKind } from "@tollgate/contracts";
import { inPipeline, insertRows, schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { actorName, newId, sumMicros, ZERO_MICROS } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { Consumption } from "./grantOrder.ts";
import type { Entry } from "./internal.ts";

/** A whole ledger transaction that is ready to be written. */
export interface Posting {
  readonly id: string;
  readonly billingAccountId: string;
  readonly kind: Extract<TransactionKind, "settlement" | "expiry" | "reversal">;
  readonly reference: string;
  readonly entries: readonly Entry[];
  /** What it takes from which grant; a negative amount gives back. */
  readonly consumptions: readonly Consumption[];
  /** What leaves the wallet; below zero for what comes back. */
  readonly takenMicros: Micros;
}

/** Gives it its id. @throws Error when the entries do not add up to zero: then the caller is wrong. */
export function preparePosting(posting: Omit<Posting, "id">): Posting {
  if (sumMicros(posting.entries.map((entry) => entry.amountMicros)) !== ZERO_MICROS) {
    throw new Error(`The entries of a ${posting.kind} of ${posting.billingAccountId} do not sum to zero`);
  }
  return { ...posting, id: newId("transaction") };
}

/**
 * Writes ledger transactions with their entries and takes what they consumed from the grants, a statement a table. What
 * makes each happen once is the state that it was decided from, under the wallet's lock, so its key is its own id.
 */
export async function writePostings(ctx: ServiceContext, postings: readonly Posting[]): Promise<void> {
  const createdAt = ctx.clock.now();
  const actor = actorName(ctx.actor);
  const heads = postings.map(({ id, billingAccountId, kind, reference }) => ({
    ...{ id, billingAccountId, kind, idempotencyKey: id, requestHash: "", reference },
    ...{ isVisible: true, actor, createdAt },
  }));
  const entries = postings.flatMap(({ id: transactionId, entries }) =>
    entries.map(({ account, amountMicros, detail = null }, line) => ({
      ...{ transactionId, line, account, amountMicros, detail, createdAt },
    })),
  );
  const consumptions = postings.flatMap(({ id: transactionId, consumptions }) =>
    consumptions.map((consumption) => ({ ...consumption, transactionId, createdAt })),
  );
  await inPipeline([
    insertRows(ctx.db, schema.ledgerTransactions, heads),
    insertRows(ctx.db, schema.ledgerEntries, entries),
    insertRows(ctx.db, schema.grantConsumptions, consumptions),
    takeFromGrants(ctx, consumptions),
  ]);
}

/** What one transaction brings back and another takes again is one change of the grant. */
async function takeFromGrants(ctx: ServiceContext, consumptions: readonly Consumption[]): Promise<void> {
  if (consumptions.length === 0) return;
  await ctx.db.execute(sql`
    update grants set remaining_micros = grants.remaining_micros - taken.micros
    from (
      select id, sum(micros)::int8 as micros
      from unnest(${sql.param(consumptions.map(({ grantId }) => grantId))}::text[],
                  ${sql.param(consumptions.map(({ amountMicros }) => amountMicros.toString()))}::int8[]) as each (id, micros)
      group by id
    ) as taken where grants.id = taken.id`);
}
