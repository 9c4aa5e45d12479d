import { BlockList, isIP, isIPv6 } from "node:net";
import { crc32 } from "node:zlib";
import type { Period } from "@tollgate/kernel";
import type { BudgetKind } from "@tollgate/services/budgets";
import {
  endpointFreeBudgetId,
  keyCapBudgetId,
  projectCapBudgetId,
  TEST_CALLS_PER_DAY,
  testCallsBudgetId,
  tierFreeBudgetId,
  walletBudgetId,
} from "@tollgate/services/budgets";
import type { KeyRecord } from "@tollgate/services/keys";
import { callRecordSubject } from "@tollgate/services/metering";
import type { Refusal } from "../admission/refusal.ts";
import { blockedRefusal, REFUSALS } from "../admission/refusal.ts";
import type { BudgetPool } from "../budgets/budgetPool.ts";
import type { BudgetSlice } from "../budgets/budgetSlice.ts";
import type { CallLimits } from "../limits/callLimits.ts";
import { SPOOL_PARTITIONS } from "../spool/spool.ts";
import { presentDay, presentMonth } from "./presentPeriods.ts";

/** A token that goes to the upstream with each call, kept for a part of its life. */
export interface UpstreamToken {
  readonly authorization: string;
  readonly signedAtMs: number;
}

/** A key, prepared so that deciding a call allocates nothing and asks nobody. */
export class Caller {
  readonly record: KeyRecord;
  readonly partition: number;
  readonly limits: CallLimits;
  readonly isLive: boolean;
  /** What the month's calls are paid from; see {@link renew}. */
  money: readonly BudgetSlice[] = [];

  readonly #pool: BudgetPool;
  readonly #ended: Refusal | undefined;
  readonly #blocked: Refusal | undefined;
  readonly #expiresAtMs: number | null;
  readonly #allowed: BlockList | undefined;
  readonly #isForAllApis: boolean;
  #month: Period | undefined;
  #day: Period | undefined;
  // Made when they are needed: a gateway holds many more keys than are in use, and most need few of these.
  #tierFree: readonly BudgetSlice[] | undefined;
  #testCalls: readonly BudgetSlice[] | undefined;
  #endpointFree: Map<string, readonly BudgetSlice[]> | undefined;
  #tokens: Map<string, UpstreamToken> | undefined;
  #subjects: Map<string, string> | undefined;
  #subjectsHolder = "";

  constructor(record: KeyRecord, pool: BudgetPool, limits: CallLimits) {
    this.record = record;
    this.partition = crc32(record.billingAccount.id) % SPOOL_PARTITIONS;
    this.limits = limits;
    this.isLive = record.mode === "live";
    this.#pool = pool;
    this.#ended = record.status === "revoked" || record.project.isDeleted ? REFUSALS.unknownKey : undefined;
    this.#blocked =
      record.status === "blocked" ? blockedRefusal(record.blockedMessage ?? "This API key is blocked") : undefined;
    this.#expiresAtMs = record.expiresAtMs;
    this.#isForAllApis = record.scopes.includes("*");
    this.#allowed = record.allowedCidrs === null ? undefined : toBlockList(record.allowedCidrs);
  }

  get wallet(): BudgetSlice | undefined {
    return this.money[0];
  }

  /** Whether the key may be used at all, now. What has ended for good comes before what may be lifted. */
  refuse(nowMs: number): Refusal | undefined {
    if (this.#ended !== undefined) return this.#ended;
    if (this.#expiresAtMs !== null && nowMs >= this.#expiresAtMs) return REFUSALS.expiredKey;
    return this.#blocked;
  }

  /** Whether it matters where a call comes from. For most keys it does not, and finding out costs a system call. */
  get isForNetworks(): boolean {
    return this.#allowed !== undefined;
  }

  /** @param address undefined if it is not known, which is in no network */
  refuseAddress(address: string | undefined): Refusal | undefined {
    return this.#allowed === undefined || isListed(this.#allowed, address ?? "") ? undefined : REFUSALS.address;
  }

  hasScope(api: string): boolean {
    return this.#isForAllApis || this.record.scopes.includes(api);
  }

  /** Makes the budgets those of the present month and day. */
  renew(nowMs: number): void {
    if (this.#month !== undefined && nowMs < this.#month.endMs && nowMs >= this.#month.startMs) {
      if (this.isLive || (this.#day !== undefined && nowMs < this.#day.endMs)) return;
    }
    const { billingAccount, project, rootKeyId, monthlySpendCapMicros } = this.record;
    this.#month = presentMonth(nowMs, billingAccount.timeZone);
    this.#day = presentDay(nowMs, billingAccount.timeZone);
    this.#tierFree = undefined;
    this.#testCalls = undefined;
    this.#endpointFree = undefined;
    const month = this.#month.id;
    const money = [this.#slice(walletBudgetId(billingAccount.id), "wallet")];
    if (project.monthlySpendCapMicros !== null) {
      money.push(this.#slice(projectCapBudgetId(project.id, month), "project_cap", project.monthlySpendCapMicros));
    }
    if (monthlySpendCapMicros !== null) {
      money.push(this.#slice(keyCapBudgetId(rootKeyId, month), "key_cap", monthlySpendCapMicros));
    }
    this.money = money;
  }

  /** The free calls of the tier this month. */
  get tierFree(): readonly BudgetSlice[] {
    if (this.#tierFree === undefined) {
      const { billingAccount, tier } = this.record;
      const id = tierFreeBudgetId(billingAccount.id, this.#month?.id ?? "");
      this.#tierFree = [this.#slice(id, "tier_free", BigInt(tier.freeCallsPerMonth))];
    }
    return this.#tierFree;
  }

  /** The calls that test keys may make today. */
  get testCalls(): readonly BudgetSlice[] {
    if (this.#testCalls === undefined) {
      const id = testCallsBudgetId(this.record.project.id, this.#day?.id ?? "");
      this.#testCalls = [this.#slice(id, "test_calls", TEST_CALLS_PER_DAY)];
    }
    return this.#testCalls;
  }

  /** The free calls of a paid endpoint this month. */
  endpointFree(endpointId: string, freePerMonth: number): readonly BudgetSlice[] {
    const existing = this.#endpointFree?.get(endpointId);
    const limit = BigInt(freePerMonth);
    if (existing !== undefined && existing[0]?.believedLimit === limit) return existing;
    const id = endpointFreeBudgetId(this.record.billingAccount.id, endpointId, this.#month?.id ?? "");
    const slices = [this.#slice(id, "endpoint_free", limit)];
    this.#endpointFree ??= new Map();
    this.#endpointFree.set(endpointId, slices);
    return slices;
  }

  /** The part of a call record that is the same for every call to an endpoint. */
  recordSubject(holderId: string, endpointId: string): string {
    if (this.#subjects === undefined || holderId !== this.#subjectsHolder) {
      this.#subjects = new Map();
      this.#subjectsHolder = holderId;
    }
    const existing = this.#subjects.get(endpointId);
    if (existing !== undefined) return existing;
    const { billingAccount, project, keyId, mode } = this.record;
    const subject = callRecordSubject(holderId, billingAccount.id, project.id, keyId, endpointId, mode);
    this.#subjects.set(endpointId, subject);
    return subject;
  }

  /** The token that goes to an API's upstream with the caller's calls, if one was signed. */
  token(api: string): UpstreamToken | undefined {
    return this.#tokens?.get(api);
  }

  keepToken(api: string, token: UpstreamToken): void {
    this.#tokens ??= new Map();
    this.#tokens.set(api, token);
  }

  #slice(id: string, kind: BudgetKind, limit?: bigint): BudgetSlice {
    return this.#pool.slice(id, kind, this.record.billingAccount.id, limit);
  }
}

function toBlockList(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [network = "", bits] = cidr.split("/");
    const family = isIPv6(network) ? "ipv6" : "ipv4";
    if (isIP(network) === 0) continue;
    if (bits === undefined) list.addAddress(network, family);
    else list.addSubnet(network, Number(bits), family);
  }
  return list;
}

function isListed(list: BlockList, address: string): boolean {
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  return list.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
}
