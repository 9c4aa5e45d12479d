import { localHourStartMs } from "@tollgate/kernel";
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

/** Calls of one key to one endpoint that differ in nothing that they are summed up by. Money is in micros. */
interface CallGroup {
  readonly of: CallRecord;
  readonly usageHourMs: number;
  readonly accrualHourMs: number;
  calls: number;
  units: number;
  chargedMicros: number;
  latencyMsTotal: number;
  lastUsedMs: number;
  /** The draws of the last calls, and how many had the same: most calls of an endpoint cost the same. */
  draws: string;
  drawn: number;
}

/**
 * Adds up in two steps, because writing down what a call is summed up by takes ten times as long as adding it: the calls
 * are grouped by texts and numbers that they share, and the groups by their written identity.
 *
 * Sums of a batch stay far below 2^53: a batch has some thousands of calls of at most some billions of micros each.
 * @param timeZones of billing accounts; those that it lacks are in UTC
 */
export function planFold(records: readonly CallRecord[], timeZones: ReadonlyMap<string, string>): FoldPlan {
  const draws = new Map<string, DrawSum>();
  const groups = groupCalls(records, timeZones, draws);
  const usage = new Map<string, UsageSum>();
  const accruals = new Map<string, AccrualSum>();
  const lastUsedMsByKey = new Map<string, number>();
  let chargedMicros = 0n;
  for (const group of groups) {
    const { keyId } = group.of;
    addUsage(usage, group);
    if (group.of.chargedMicros > 0) addAccrual(accruals, group);
    addDraws(draws, group);
    chargedMicros += BigInt(group.chargedMicros);
    lastUsedMsByKey.set(keyId, Math.max(group.lastUsedMs, lastUsedMsByKey.get(keyId) ?? 0));
  }
  return {
    chargedMicros,
    usage: [...usage.values()],
    accruals: [...accruals.values()],
    draws: [...draws.values()],
    lastUsedMsByKey,
  };
}

/** @param draws takes what groups have drawn, where an amount changes within one */
function groupCalls(
  records: readonly CallRecord[],
  timeZones: ReadonlyMap<string, string>,
  draws: Map<string, DrawSum>,
): CallGroup[] {
  const all: CallGroup[] = [];
  const byKey = new Map<string, Map<string, CallGroup[]>>();
  for (const call of records) {
    const byEndpoint = getOrMake(byKey, call.keyId, () => new Map<string, CallGroup[]>());
    const groups = getOrMake(byEndpoint, call.endpointId, () => []);
    const usageHourMs = localHourStartMs(call.startedAtMs, timeZones.get(call.billingAccountId) ?? "UTC");
    const accrualHourMs = localHourStartMs(call.startedAtMs, "UTC");
    let group = groups.find((each) => isAlike(each, call, usageHourMs, accrualHourMs));
    if (group === undefined) {
      const sums = {
        calls: 0,
        units: 0,
        chargedMicros: 0,
        latencyMsTotal: 0,
        lastUsedMs: 0,
        draws: call.draws,
        drawn: 0,
      };
      group = { of: call, usageHourMs, accrualHourMs, ...sums };
      groups.push(group);
      all.push(group);
    }
    if (group.draws !== call.draws) {
      addDraws(draws, group);
      group.draws = call.draws;
      group.drawn = 0;
    }
    group.calls += 1;
    group.drawn += 1;
    group.units += call.units;
    group.chargedMicros += call.chargedMicros;
    group.latencyMsTotal += call.latencyMs;
    if (call.startedAtMs > group.lastUsedMs) group.lastUsedMs = call.startedAtMs;
  }
  return all;
}

function getOrMake<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const made = make();
  map.set(key, made);
  return made;
}

const isAlike = (group: CallGroup, call: CallRecord, usageHourMs: number, accrualHourMs: number): boolean =>
  group.usageHourMs === usageHourMs &&
  group.accrualHourMs === accrualHourMs &&
  group.of.status === call.status &&
  group.of.unitPriceMicros === call.unitPriceMicros &&
  group.of.chargedMicros > 0 === call.chargedMicros > 0 &&
  group.of.mode === call.mode &&
  group.of.holderId === call.holderId &&
  group.of.projectId === call.projectId &&
  group.of.billingAccountId === call.billingAccountId;

function addUsage(usage: Map<string, UsageSum>, group: CallGroup): void {
  const { projectId, endpointId, keyId, mode, status, billingAccountId } = group.of;
  const hour = new Date(group.usageHourMs).toISOString();
  const id = `${projectId} ${hour} ${endpointId} ${keyId} ${mode} ${status}`;
  const { calls, units, chargedMicros, latencyMsTotal } = group;
  const sum = usage.get(id);
  if (sum === undefined) {
    const sums = { calls, units, chargedMicros, latencyMsTotal };
    usage.set(id, { projectId, hour, endpointId, keyId, mode, status, billingAccountId, ...sums });
    return;
  }
  sum.calls += calls;
  sum.units += units;
  sum.chargedMicros += chargedMicros;
  sum.latencyMsTotal += latencyMsTotal;
}

function addAccrual(accruals: Map<string, AccrualSum>, group: CallGroup): void {
  const { billingAccountId, projectId, endpointId, unitPriceMicros } = group.of;
  const hour = new Date(group.accrualHourMs).toISOString();
  const id = `${billingAccountId} ${hour} ${projectId} ${endpointId} ${unitPriceMicros}`;
  const { calls, units, chargedMicros } = group;
  const sum = accruals.get(id);
  if (sum === undefined) {
    const sums = { calls, units, amountMicros: chargedMicros };
    accruals.set(id, { billingAccountId, hour, projectId, endpointId, unitPriceMicros, ...sums });
    return;
  }
  sum.calls += calls;
  sum.units += units;
  sum.amountMicros += chargedMicros;
}

/** What the last calls of a group have drawn: each the same. */
function addDraws(draws: Map<string, DrawSum>, { of: { holderId }, draws: text, drawn }: CallGroup): void {
  if (text === "") return;
  for (const part of text.split(",")) {
    const equals = part.lastIndexOf("=");
    const budgetId = part.slice(0, equals);
    const amount = BigInt(part.slice(equals + 1)) * BigInt(drawn);
    const id = `${holderId} ${budgetId}`;
    const sum = draws.get(id);
    if (sum === undefined) draws.set(id, { budgetId, holderId, amount, settled: 0n });
    else sum.amount += amount;
  }
}
