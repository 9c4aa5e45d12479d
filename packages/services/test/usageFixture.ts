import type { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { newCallId, newId, toMicros } from "@tollgate/kernel";
import { walletBudgetId } from "../src/budgets/index.ts";
import { fillCallBatch, foldCalls, formatCallRecord } from "../src/metering/index.ts";
import type { ServiceFixture } from "./serviceFixture.ts";

/** Calls as a gateway would have made them, folded as a worker would fold them. */
export interface MadeCall {
  readonly billingAccountId: string;
  readonly projectId: string;
  readonly endpointId: string;
  readonly keyId?: string;
  readonly at: Date;
  readonly chargedMicros: Micros;
  readonly outcome?: (typeof schema.CALL_OUTCOMES)[number];
  readonly status?: number;
  readonly mode?: "live" | "test";
  readonly draws?: string;
}

const HOLDER = newId("gateway");

/** Folds calls under a source of their own and returns their ids. A charged call draws on the wallet. */
export async function makeCalls(fixture: ServiceFixture, calls: readonly MadeCall[]): Promise<string[]> {
  const source = `${newId("gateway")}.0`;
  const ids = calls.map((call) => newCallId(call.at.getTime()));
  const lines = calls.map((call, index) => {
    const wallet = `${walletBudgetId(call.billingAccountId)}=${call.chargedMicros}`;
    const draws = call.draws ?? (call.chargedMicros > 0n ? wallet : "");
    return formatCallRecord({
      sequence: index + 1,
      id: ids[index] ?? "",
      holderId: HOLDER,
      billingAccountId: call.billingAccountId,
      projectId: call.projectId,
      keyId: call.keyId ?? "key_00000000test",
      endpointId: call.endpointId,
      mode: call.mode ?? "live",
      outcome: call.outcome ?? (call.chargedMicros > 0n ? "charged" : "free"),
      status: call.status ?? 200,
      latencyMs: 12,
      units: 1,
      unitPriceMicros: Number(call.chargedMicros),
      chargedMicros: Number(call.chargedMicros),
      requestBytes: 100,
      responseBytes: 2_000,
      draws,
    });
  });
  const { database } = fixture.as();
  const { text: records } = fillCallBatch(lines, Number.POSITIVE_INFINITY);
  await foldCalls(database, fixture.clock, { source, sequence: 1, records });
  return ids;
}

export const micros = (amount: number | bigint): Micros => toMicros(BigInt(amount));
