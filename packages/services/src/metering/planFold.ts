import { hourFloor } from "@tollgate/kernel";
import type { CallRecord } from "./callRecord.ts";

/** What a batch of calls adds up to: a pure function, so that it can be tested without a database. */
export interface FoldPlan {
  readonly chargedMicros: bigint;
  readonly usage: readonly UsageSum[];
  readonly accruals: readonly AccrualSum[];
  readonly draws: readonly DrawSum[];
  readonly lastUsedMsByKey: ReadonlyMap<string, number>;
}

export interface UsageSum {
  readonly projectId: string;
  readonly hour: string;
  readonly endpointId: string;
  readonly keyId: string;
  readonly mode: string;
  readonly status: number;
  readonly billingAccountId: string;
  calls: number;
  units: number;
  chargedMicros: number;
  latencyMsTotal: number;
}

export interface AccrualSum {
  readonly billingAccountId: string;
  readonly hour: string;
  readonly projectId: string;
  readonly endpointId: string;
  readonly unitPriceMicros: number;
  calls: number;
  units: number;
  amountMicros: number;
}

export interface DrawSum {
  readonly budgetId: string;
  readonly holderId: string;
  amount: bigint;
  /** How much of the amount was still held; filled in when the leases are read. */
  settled: bigint;
}

/** Sums of a batch stay far below 2^53: a batch has some thousands of calls of at most some billions of micros each. */
export function planFold(records: readonly CallRecord[]): FoldPlan {
  const usage = new Map<string, UsageSum>();
  const accruals = new Map<string, AccrualSum>();
  const draws = new Map<string, DrawSum>();
  const lastUsedMsByKey = new Map<string, number>();
  let chargedMicros = 0n;
  for (const call of records) {
    const hour = hourFloor(call.startedAtMs).toISOString();
    chargedMicros += BigInt(call.chargedMicros);
    addUsage(usage, call, hour);
    if (call.chargedMicros > 0) addAccrual(accruals, call, hour);
    addDraws(draws, call);
    const lastUsedMs = lastUsedMsByKey.get(call.keyId);
    if (lastUsedMs === undefined || lastUsedMs < call.startedAtMs) lastUsedMsByKey.set(call.keyId, call.startedAtMs);
  }
  return {
    chargedMicros,
    usage: [...usage.values()],
    accruals: [...accruals.values()],
    draws: [...draws.values()],
    lastUsedMsByKey,
  };
}

function addUsage(usage: Map<string, UsageSum>, call: CallRecord, hour: string): void {
  const id = `${call.projectId} ${hour} ${call.endpointId} ${call.keyId} ${call.mode} ${call.status}`;
  const sum = usage.get(id);
  if (sum !== undefined) {
    sum.calls += 1;
    sum.units += call.units;
    sum.chargedMicros += call.chargedMicros;
    sum.latencyMsTotal += call.latencyMs;
    return;
  }
  const { projectId, endpointId, keyId, mode, status, billingAccountId, units } = call;
  const sums = { calls: 1, units, chargedMicros: call.chargedMicros, latencyMsTotal: call.latencyMs };
  usage.set(id, { projectId, hour, endpointId, keyId, mode, status, billingAccountId, ...sums });
}

function addAccrual(accruals: Map<string, AccrualSum>, call: CallRecord, hour: string): void {
  const id = `${call.billingAccountId} ${hour} ${call.projectId} ${call.endpointId} ${call.unitPriceMicros}`;
  const sum = accruals.get(id);
  if (sum !== undefined) {
    sum.calls += 1;
    sum.units += call.units;
    sum.amountMicros += call.chargedMicros;
    return;
  }
  const { billingAccountId, projectId, endpointId, unitPriceMicros, units } = call;
  const sums = { calls: 1, units, amountMicros: call.chargedMicros };
  accruals.set(id, { billingAccountId, hour, projectId, endpointId, unitPriceMicros, ...sums });
}

function addDraws(draws: Map<string, DrawSum>, call: CallRecord): void {
  if (call.draws === "") return;
  for (const part of call.draws.split(",")) {
    const equals = part.lastIndexOf("=");
    const budgetId = part.slice(0, equals);
    const amount = BigInt(part.slice(equals + 1));
    const id = `${call.holderId} ${budgetId}`;
    const sum = draws.get(id);
    if (sum === undefined) draws.set(id, { budgetId, holderId: call.holderId, amount, settled: 0n });
    else sum.amount += amount;
  }
}
