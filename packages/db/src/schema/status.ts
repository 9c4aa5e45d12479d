import type { StatusComponent } from "@tollgate/contracts";
import { sql } from "drizzle-orm";
import { boolean, check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { count, createdAt, id, instant, oneOf, updatedAt } from "./columns.ts";

export const MEASURED_STATES = ["up", "degraded", "down"] as const;
export const INCIDENT_IMPACTS = ["minor", "major", "critical"] as const;
export const INCIDENT_STATUSES = ["investigating", "identified", "monitoring", "resolved"] as const;

/** How each component of the deployment was at the last look. */
export const statusComponents = pgTable(
  "status_components",
  {
    name: text("name").$type<StatusComponent>().primaryKey(),
    state: text("state", { enum: MEASURED_STATES }).notNull(),
    since: instant("since").notNull(),
    /** Since when it has not answered; null while it does. */
    failingSince: instant("failing_since"),
    latencyMs: integer("latency_ms"),
    checkedAt: instant("checked_at").notNull(),
  },
  () => [check("status_components_state_check", oneOf("state", MEASURED_STATES))],
);

/** For how long each component was what, by the day in UTC. */
export const statusDays = pgTable(
  "status_days",
  {
    component: text("component").$type<StatusComponent>().notNull(),
    /** As in ISO 8601. */
    day: text("day").notNull(),
    upMs: count("up_ms").notNull().default(0),
    degradedMs: count("degraded_ms").notNull().default(0),
    downMs: count("down_ms").notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.component, t.day] })],
);

/** Walks through the product as a stranger, those of the last week: how long each step took, and where one ended. */
export const statusSelfTests = pgTable(
  "status_self_tests",
  {
    id: id().primaryKey(),
    startedAt: instant("started_at").notNull(),
    finishedAt: instant("finished_at"),
    hasPassed: boolean("has_passed"),
    failedStep: text("failed_step"),
    error: text("error"),
    steps: jsonb("steps").$type<{ readonly name: string; readonly ms: number }[]>().notNull(),
  },
  (t) => [index("status_self_tests_started_at_idx").on(t.startedAt)],
);

/** What operators tell everybody of. */
export const statusIncidents = pgTable(
  "status_incidents",
  {
    id: id().primaryKey(),
    title: text("title").notNull(),
    impact: text("impact", { enum: INCIDENT_IMPACTS }).notNull(),
    status: text("status", { enum: INCIDENT_STATUSES }).notNull(),
    components: jsonb("components").$type<StatusComponent[]>().notNull(),
    idempotencyKey: text("idempotency_key"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    resolvedAt: instant("resolved_at"),
  },
  (t) => [
    uniqueIndex("status_incidents_idempotency_key").on(t.idempotencyKey),
    index("status_incidents_open_idx").on(t.createdAt, t.id).where(sql`resolved_at is null`),
    index("status_incidents_resolved_at_idx").on(t.resolvedAt),
    check("status_incidents_impact_check", oneOf("impact", INCIDENT_IMPACTS)),
    check("status_incidents_status_check", oneOf("status", INCIDENT_STATUSES)),
  ],
);

export const statusIncidentUpdates = pgTable(
  "status_incident_updates",
  {
    id: id().primaryKey(),
    incidentId: id("incident_id")
      .notNull()
      .references(() => statusIncidents.id),
    status: text("status", { enum: INCIDENT_STATUSES }).notNull(),
    message: text("message").notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    index("status_incident_updates_incident_id_idx").on(t.incidentId, t.createdAt, t.id),
    check("status_incident_updates_status_check", oneOf("status", INCIDENT_STATUSES)),
  ],
);
