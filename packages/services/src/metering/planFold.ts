import { hourFloor, localHourStartMs } from "@tollgate/kernel";
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
  /** The beginning of the hour where the billing account is: no day or month of its begins inside of one. */
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
  /** Of UTC, as settlements and the expiries of grants have it. */
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

/**
 * Sums of a batch stay far below 2^53: a batch has some thousands of calls of at most some billions of micros each.
 * @param timeZones of billing accounts; those that it lacks are in UTC
 */
export function planFold(records: readonly CallRecord[], timeZones: ReadonlyMap<string, string>): FoldPlan {
  const usage = new Map<string, UsageSum>();
  const accruals = new Map<string, AccrualSum>();
  const draws = new Map<string, DrawSum>();
  const lastUsedMsByKey = new Map<string, number>();
  // Calls of a batch are of few hours, and writing one as text takes longer than adding the call.
  const texts = new Map<number, string>();
  const toText = (hourMs: number): string => {
    const known = texts.get(hourMs);
    if (known !== undefined) return known;
    const text = new Date(hourMs).toISOString();
    texts.set(hourMs, text);
    return text;
  };
  let chargedMicros = 0n;
  for (const call of records) {
    const timeZone = timeZones.get(call.billingAccountId) ?? "UTC";
    chargedMicros += BigInt(call.chargedMicros);
    addUsage(usage, call, toText(localHourStartMs(call.startedAtMs, timeZone)));
    if (call.chargedMicros > 0) addAccrual(accruals, call, toText(hourFloor(call.startedAtMs).getTime()));
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
