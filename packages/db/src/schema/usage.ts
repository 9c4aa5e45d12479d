import { sql } from "drizzle-orm";
import { boolean, check, index, integer, pgTable, primaryKey, smallint, text } from "drizzle-orm/pg-core";
import { count, id, instant, int8, micros, oneOf } from "./columns.ts";
import { KEY_MODES } from "./keys.ts";

export const CALL_OUTCOMES = ["charged", "quota", "free", "test", "uncharged", "failed"] as const;

/**
 * Where each stream of calls stands. A source is one partition of one gateway run; its calls are numbered from 1 without
 * gaps and folded in order, so this one number says exactly which calls have been counted.
 */
export const usageSources = pgTable("usage_sources", {
  source: text("source").primaryKey(),
  foldedThrough: count("folded_through").notNull(),
  updatedAt: instant("updated_at").notNull(),
});

/** The batches that were folded; for tracing a call to its batch. */
export const usageBatches = pgTable(
  "usage_batches",
  {
    source: text("source").notNull(),
    sequence: count("sequence").notNull(),
    calls: integer("calls").notNull(),
    chargedMicros: micros("charged_micros").notNull(),
    /** The gateway's leases had already been given back when this batch came: its charge was not held. */
    isLate: boolean("is_late").notNull(),
    foldedAt: instant("folded_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.source, t.sequence] }), index("usage_batches_folded_at_idx").on(t.foldedAt)],
);

/**
 * Every call, as the gateway recorded it. Kept for 30 days. It is the table that is written to most by far, so it has no
 * index but its key: a call's id says when the call began, and that leads to it by way of the hour's usage.
 */
export const calls = pgTable(
  "calls",
  {
    projectId: id("project_id").notNull(),
    startedAt: instant("started_at").notNull(),
    id: id().notNull(),
    billingAccountId: id("billing_account_id").notNull(),
    keyId: id("key_id").notNull(),
    endpointId: id("endpoint_id").notNull(),
    mode: text("mode", { enum: KEY_MODES }).notNull(),
    outcome: text("outcome", { enum: CALL_OUTCOMES }).notNull(),
    status: smallint("status").notNull(),
    latencyMs: integer("latency_ms").notNull(),
    units: count("units").notNull(),
    unitPriceMicros: micros("unit_price_micros").notNull(),
    chargedMicros: micros("charged_micros").notNull(),
    requestBytes: count("request_bytes").notNull(),
    responseBytes: count("response_bytes").notNull(),
    source: text("source").notNull(),
    sequence: count("sequence").notNull(),
  },
  (t) => [primaryKey({ columns: [t.projectId, t.startedAt, t.id] })],
);

/**
 * Calls by the hour of the billing account's time zone, each under the instant at which it began; in most zones these are
 * the hours of UTC. It is what usage is read from.
 */
export const usageHourly = pgTable(
  "usage_hourly",
  {
    projectId: id("project_id").notNull(),
    hour: instant("hour").notNull(),
    endpointId: id("endpoint_id").notNull(),
    keyId: id("key_id").notNull(),
    mode: text("mode", { enum: KEY_MODES }).notNull(),
    status: smallint("status").notNull(),
    billingAccountId: id("billing_account_id").notNull(),
    calls: count("calls").notNull(),
    units: count("units").notNull(),
    chargedMicros: micros("charged_micros").notNull(),
    latencyMsTotal: count("latency_ms_total").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.projectId, t.hour, t.endpointId, t.keyId, t.mode, t.status] }),
    index("usage_hourly_hour_idx").on(t.hour, t.endpointId),
    check("usage_hourly_mode_check", oneOf("mode", KEY_MODES)),
  ],
);

/** Charges that wait to be posted, by the hour of UTC: the lines of the next settlement. What is settled stays, so a late call settles later. */
export const accruals = pgTable(
  "accruals",
  {
    billingAccountId: id("billing_account_id").notNull(),
    hour: instant("hour").notNull(),
    projectId: id("project_id").notNull(),
    endpointId: id("endpoint_id").notNull(),
    unitPriceMicros: micros("unit_price_micros").notNull(),
    calls: count("calls").notNull(),
    units: int8("units").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    settledCalls: count("settled_calls").notNull().default(0),
    settledUnits: int8("settled_units").notNull().default(sql`0`),
    settledMicros: micros("settled_micros").notNull().default(sql`0`),
    /**
     * What the index below asks. Were it asked of the sums themselves, every fold would write to the index: PostgreSQL
     * updates a row in place only when nothing that an index asks about has changed.
     */
    isSettled: boolean("is_settled").notNull().generatedAlwaysAs(sql`settled_micros >= amount_micros`),
    /** When what waits here was first counted: a late call waits since it came, not since its hour. Null: since the hour. */
    unsettledSince: instant("unsettled_since"),
  },
  (t) => [
    primaryKey({ columns: [t.billingAccountId, t.hour, t.projectId, t.endpointId, t.unitPriceMicros] }),
    index("accruals_unsettled_idx").on(t.hour, t.billingAccountId).where(sql`not is_settled`),
  ],
);

/**
 * Events that services report of projects, each once: who sends one again, for any reason, finds it here. Kept for 35 days,
 * so that is how long a repetition is recognised.
 */
export const reportedEvents = pgTable(
  "reported_events",
  {
    /** A digest of the project, the source and the event's id: short, where these are long. */
    key: text("key").primaryKey(),
    projectId: id("project_id").notNull(),
    type: text("type").notNull(),
    occurredAt: instant("occurred_at").notNull(),
    receivedAt: instant("received_at").notNull(),
    /** The whole event in CloudEvents' JSON format. As text: nothing looks into it, and checking it once is enough. */
    event: text("event").notNull(),
  },
  // Without the key: those of a batch are received at one time, and equal entries are kept as one.
  (t) => [index("reported_events_type_idx").on(t.projectId, t.type, t.receivedAt)],
);

/** Events by the hour in which they happened, where the billing account is; kept when the events are not. */
export const usageEventsHourly = pgTable(
  "usage_events_hourly",
  {
    projectId: id("project_id").notNull(),
    hour: instant("hour").notNull(),
    type: text("type").notNull(),
    events: count("events").notNull(),
  },
  (t) => [primaryKey({ columns: [t.projectId, t.hour, t.type] })],
);

/** Stages of the way from a call to the bill that stand still and were announced to. */
export const pipelineStalls = pgTable("pipeline_stalls", {
  stage: text("stage").primaryKey(),
  since: instant("since").notNull(),
});
