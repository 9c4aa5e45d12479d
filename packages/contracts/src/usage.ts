import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { keyMode } from "./keys.ts";
import { idSchema, instantInput, lastEventId, microsOutput, nameInput, pageInput, pageOf } from "./primitives.ts";

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
  /** What services reported beyond calls; not charged. */
  events: z.array(z.object({ table: z.string(), events: z.int() })),
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

/** A call from the gateway to the grant that paid for it and the invoice. What has not happened yet is null. */
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
  /** The invoice's line that the statement's line is part of. */
  invoice: z
    .object({
      invoiceId: z.string(),
      number: z.string().nullable(),
      line: z.int(),
      description: z.string(),
      amountMicros: microsOutput,
    })
    .nullable(),
});
export type Trace = z.infer<typeof traceDto>;

/**
 * Events in the CloudEvents format, version 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and
 * formats/json-format.md): what services report of a project beyond its calls. They are counted and kept, never charged.
 */
export const EVENTS_MAX = 1_000;
/** Of one event as JSON. The specification wants 64 KiB to pass everywhere. */
export const EVENT_CHARACTERS_MAX = 65_536;

const SOURCE_CHARACTERS_MAX = 600;
const ID_CHARACTERS_MAX = 250;

/** What RFC 3986 lets no URI contain. */
const NOT_IN_URI = /[\s<>"{}|\\^`]/;
const uriReference = z
  .string()
  .min(1)
  .max(SOURCE_CHARACTERS_MAX)
  .refine((value) => !NOT_IN_URI.test(value), { error: "Must be a URI reference" });
// The specification asks senders for 20 characters at most, and receivers for nothing.
const ATTRIBUTE_NAME = /^[a-z0-9]{1,100}$/;

export const eventTable = z.string().min(1).max(200);

export const cloudEvent = z
  .object({
    specversion: z.literal("1.0", { error: 'Must be "1.0"' }),
    id: z.string().min(1).max(ID_CHARACTERS_MAX),
    source: uriReference,
    type: eventTable,
    subject: z.string().min(1).max(1_000).nullish(),
    time: z.iso.datetime({ offset: true, error: "Must be an instant in RFC 3339" }).nullish(),
    datacontenttype: z
      .string()
      .max(200)
      .regex(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;.*)?$/, { error: "Must be a media type" })
      .nullish(),
    dataschema: uriReference
      .refine((value) => /^[a-z][a-z0-9+.-]*:/i.test(value), { error: "Must be a URI" })
      .nullish(),
    data: z.unknown().optional(),
    data_base64: z
      .string()
      .regex(/^[A-Za-z0-9+/]*={0,2}$/, { error: "Must be Base64" })
      .nullish(),
  })
  .catchall(
    z.union([z.string(), z.boolean(), z.int32(), z.null()], {
      error: "An extension is a text, a whole number or a yes or no",
    }),
  )
  .superRefine((event, context) => {
    for (const name of Object.keys(event)) {
      if (name === "data_base64" || ATTRIBUTE_NAME.test(name)) continue;
      context.addIssue({ code: "custom", path: [name], message: "Must be lower-case letters and digits, at most 100" });
    }
    if (event.data != null && event.data_base64 != null) {
      context.addIssue({ code: "custom", path: ["data_base64"], message: "Must not be there beside data" });
    }
  });
export type CloudEvent = z.output<typeof cloudEvent>;

export const ingestInput = z.object({
  projectId: idSchema("project"),
  /** CloudEvents. Each is judged by itself. */
  events: z.array(z.unknown()).min(1).max(EVENTS_MAX),
});

/** What became of one event. An event that is sent again is answered as it was the first time. */
export const ingestResult = z.object({
  source: z.string().nullable(),
  id: z.string().nullable(),
  status: z.enum(["accepted", "rejected"]),
  /** Why it was rejected, by attribute. */
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type IngestResult = z.infer<typeof ingestResult>;

/** In the order of the events. */
export const ingestDto = z.object({ results: z.array(ingestResult), accepted: z.int(), rejected: z.int() });
export type Ingested = z.infer<typeof ingestDto>;

export const saveEventInput = z.object({
  projectId: idSchema("project"),
  table: eventTable,
  /** Saved again under the same id, it is there once. Without one it gets one. */
  id: z.string().min(1).max(ID_CHARACTERS_MAX).optional(),
  record: z.record(z.string(), z.json()),
});
export const savedEventDto = z.object({ id: z.string() });
export type SavedEvent = z.infer<typeof savedEventDto>;

export const listEventsInput = pageInput.extend({ projectId: idSchema("project"), table: eventTable });
export const usageEventDto = z.object({
  /** The event's own id, unique with its source. */
  id: z.string(),
  source: z.string(),
  table: z.string(),
  subject: z.string().nullable(),
  occurredAt: z.date(),
  receivedAt: z.date(),
  /** What the event carries: JSON, text, or Base64 of what is neither. */
  record: z.unknown(),
  /** The media type of that; null where the sender did not say, which means JSON. */
  contentType: z.string().nullable(),
  isBase64: z.boolean(),
});
export type UsageEvent = z.infer<typeof usageEventDto>;
export const usageEventPage = pageOf(usageEventDto);

/** A stage of the way from a call to the bill at which something waits longer than it may, and it is announced once. */
export const pipelineStage = z.enum(["fold", "outbox", "settlement"]);
export type PipelineStage = z.infer<typeof pipelineStage>;
export const usagePipelineStalled = defineEvent(
  "usage.pipelineStalled",
  z.object({ stage: pipelineStage, since: z.string(), waiting: z.int() }),
);
export const usagePipelineRecovered = defineEvent("usage.pipelineRecovered", z.object({ stage: pipelineStage }));

/** Every minute: no usage is not zero usage. */
export const checkPipelineJob = defineJob({
  name: "usage.check-pipeline",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

/** Every day: single calls, batches and events that are older than they are kept. */
export const usageForgetSweep = defineJob({
  name: "usage.forget-sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 3,
  backoffMs: 60_000,
});

export const ranksDto = z.object({
  /** Popularity from 1 to 10 by the calls of the last 30 days; what stands far above all others does not set the scale. */
  apis: z.array(z.object({ api: z.string(), displayName: z.string(), popularity: z.int() })),
  /** Projects that want to be named, by their calls in the last 30 days. */
  users: z.array(z.object({ displayName: z.string(), calls: z.int() })),
  /** When they were counted; null before the first time. */
  rankedAt: z.date().nullable(),
});
export type Ranks = z.infer<typeof ranksDto>;

/** Under which name a project is shown among the top users; null for not at all, which is what a new project has. */
export const setRankingNameInput = z.object({ projectId: idSchema("project"), displayName: nameInput.nullable() });
export const rankingNameDto = z.object({ displayName: z.string().nullable() });
export type RankingName = z.infer<typeof rankingNameDto>;
export const usageRankingNameChanged = defineEvent(
  "usage.rankingNameChanged",
  z.object({ projectId: z.string(), displayName: z.string().nullable() }),
);

const EXPORT_MS_MAX = 400 * DAY_MS;
export const exportCsvInput = z
  .object({ projectId: idSchema("project"), from: instantInput, to: instantInput, mode: keyMode.default("live") })
  .superRefine(({ from, to }, context) => {
    const spanMs = to.getTime() - from.getTime();
    if (spanMs <= 0) context.addIssue({ code: "custom", path: ["to"], message: "Must be after from" });
    if (spanMs > EXPORT_MS_MAX) context.addIssue({ code: "custom", path: ["from"], message: "At most 400 days" });
  });
/** A piece of the table: whole lines. */
export const csvPiece = z.string();
