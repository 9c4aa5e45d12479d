import type { Database } from "@tollgate/db";
import { delay } from "@tollgate/kernel";
import { PRICE_MICROS } from "./seedProduct.ts";

/** What the product has on its books for a project. */
export interface CountedCalls {
  readonly calls: bigint;
  readonly chargedMicros: bigint;
  readonly rawCalls: bigint;
}

const FOLD_TIMEOUT_MS = 120_000;
const POLL_MS = 100;
/** As long as nothing more may come: longer than the gateway's own resending. */
const SETTLE_MS = 4_000;

async function readCounted(database: Database, projectId: string): Promise<CountedCalls> {
  const [row] = await database.sql`
    select coalesce(sum(calls), 0) as calls, coalesce(sum(charged_micros), 0) as charged,
           (select count(*) from calls where project_id = ${projectId}) as raw
    from usage_hourly where project_id = ${projectId}`;
  return {
    calls: BigInt(String(row?.["calls"])),
    chargedMicros: BigInt(String(row?.["charged"])),
    rawCalls: BigInt(String(row?.["raw"])),
  };
}

/**
 * Waits until every answered call is folded, and a moment longer to see that not one too many is.
 * @throws Error when counted, charged and answered differ: a benchmark that lost a call, or counted one twice, is void
 */
export async function assertAllCounted(database: Database, projectId: string, answered: number): Promise<CountedCalls> {
  const expected = BigInt(answered);
  const deadline = Date.now() + FOLD_TIMEOUT_MS;
  let counted = await readCounted(database, projectId);
  while (counted.calls < expected && Date.now() < deadline) {
    await delay(POLL_MS);
    counted = await readCounted(database, projectId);
  }
  await delay(SETTLE_MS);
  counted = await readCounted(database, projectId);
  if (
    counted.calls !== expected ||
    counted.rawCalls !== expected ||
    counted.chargedMicros !== expected * PRICE_MICROS
  ) {
    throw new Error(
      `VOID: ${answered} calls were answered, ${counted.calls} counted, ${counted.rawCalls} kept, ${counted.chargedMicros} micros charged`,
    );
  }
  return counted;
}
