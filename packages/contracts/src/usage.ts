import { z } from "zod";
import { keyMode } from "./keys.ts";
import { idSchema, instantInput, lastEventId, microsOutput, pageInput, pageOf } from "./primitives.ts";

export const callOutcome = z.enum(["charged", "quota", "free", "test", "uncharged", "failed"]);
export const granularity = z.enum(["hour", "day", "month"]);
export type Granularity = z.infer<typeof granularity>;
export const usageGroup = z.enum(["api", "endpoint", "key", "status"]);
export type UsageGroup = z.infer<typeof usageGroup>;

const DAY_MS = 86_400_000;
/** The longest span of a series: so a series has at most some hundred points a group. */
const SPAN_MS_MAX = { hour: 31 * DAY_MS, day: 400 * DAY_MS, month: 5 * 366 * DAY_MS } as const satisfies Record<
  Granularity,
  number
>;

export const readUsageInput = z
  .object({
    projectId: idSchema("project"),
    from: instantInput,
    to: instantInput,
    granularity: granularity.default("day"),
    groupBy: usageGroup.optional(),
    mode: keyMode.default("live"),
  })
  .superRefine(({ from, to, granularity }, context) => {
    const spanMs = to.getTime() - from.getTime();
    if (spanMs <= 0) context.addIssue({ code: "custom", path: ["to"], message: "Must be after from" });
    if (spanMs > SPAN_MS_MAX[granularity]) {
      const days = SPAN_MS_MAX[granularity] / DAY_MS;
      context.addIssue({ code: "custom", path: ["from"], message: `At most ${days} days by the ${granularity}` });
    }
  });
export type ReadUsageInput = z.output<typeof readUsageInput>;

const usageSums = z.object({
  /** Answered by the upstream below 500. */
  calls: z.int(),
  /** All others that were admitted. */
  failures: z.int(),
  units: z.int(),
  chargedMicros: microsOutput,
});
export type UsageSums = z.infer<typeof usageSums>;

/** What is left of a month's allowance; it belongs to the billing account. */
export const quotaDto = z.object({
  used: z.int(),
  /** Set aside for calls in flight. */
  held: z.int(),
  limit: z.int(),
  remaining: z.int(),
  resetsAt: z.date(),
});
export type Quota = z.infer<typeof quotaDto>;

export const endpointQuotaDto = quotaDto.extend({ endpointId: z.string(), api: z.string(), endpoint: z.string() });
export type EndpointQuota = z.infer<typeof endpointQuotaDto>;

export const usageDto = z.object({
  /** Points with calls, in order of time; `at` is the local beginning of the hour, day or month. */
  series: z.array(usageSums.extend({ at: z.date(), group: z.string().optional() })),
  totals: usageSums,
  quota: z.object({ tierFree: quotaDto, endpoints: z.array(endpointQuotaDto) }),
});
export type Usage = z.infer<typeof usageDto>;

export const monthlyTotalInput = z.object({
  projectId: idSchema("project"),
  /** The present month, if left out. */
  month: z
    .string()
    .regex(/^\d{4}-(0[1-9]|1[0-2])$/, { error: "Must be a month like 2026-11" })
    .optional(),
});
export const monthlyTotalDto = usageSums.extend({
  month: z.string(),
  endpoints: z.array(usageSums.extend({ endpointId: z.string(), api: z.string(), endpoint: z.string() })),
});
export type MonthlyTotal = z.infer<typeof monthlyTotalDto>;

/** Endpoints by id, or as `api/endpoint`. */
export const monthlyInput = z.object({
  projectId: idSchema("project"),
  endpoints: z.array(z.string().trim().min(1).max(130)).min(1).max(200),
});
export const monthlyDto = z.object({
  items: z.array(endpointQuotaDto.extend({ calls: z.int() })),
});
export type Monthly = z.infer<typeof monthlyDto>;

export const callDto = z.object({
  id: z.string(),
  startedAt: z.date(),
  keyId: z.string(),
  endpointId: z.string(),
  api: z.string().nullable(),
  endpoint: z.string().nullable(),
  mode: keyMode,
  outcome: callOutcome,
  status: z.int(),
  latencyMs: z.int(),
  units: z.int(),
  unitPriceMicros: microsOutput,
  chargedMicros: microsOutput,
  requestBytes: z.int(),
  responseBytes: z.int(),
});
export type Call = z.infer<typeof callDto>;

export const listCallsInput = pageInput.extend({
  projectId: idSchema("project"),
  keyId: idSchema("key").optional(),
  endpointId: idSchema("endpoint").optional(),
});
export const callPage = pageOf(callDto);

export const liveUsageInput = z.object({
  projectId: idSchema("project"),
  mode: keyMode.default("live"),
  lastEventId,
});

/** What a project does at the moment. Sent again when something changes. */
export const liveUsageDto = z.object({
  /** Over the last seconds; null until there is something to compare with. */
  perSecond: z.object({ calls: z.number(), failures: z.number(), chargedMicros: microsOutput }).nullable(),
  /** Since midnight where the billing account is. */
  today: usageSums,
});
export type LiveUsage = z.infer<typeof liveUsageDto>;

export const traceInput = z.object({ callId: idSchema("call") });

/** A call from the gateway to the grant that paid for it. What has not happened yet is null. */
export const traceDto = z.object({
  call: callDto,
  projectId: z.string(),
  billingAccountId: z.string(),
  batch: z.object({
    source: z.string(),
    sequence: z.int(),
    calls: z.int(),
    isLate: z.boolean(),
    foldedAt: z.date(),
  }),
  /** The statement's line that the call is part of. */
  ledger: z
    .object({ transactionId: z.string(), line: z.int(), amountMicros: microsOutput, createdAt: z.date() })
    .nullable(),
  /** The grants that the settlement took from. */
  grants: z.array(z.object({ grantId: z.string(), source: z.string(), amountMicros: microsOutput })),
});
export type Trace = z.infer<typeof traceDto>;
