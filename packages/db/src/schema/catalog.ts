import { boolean, check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { count, createdAt, id, instant, micros, oneOf, updatedAt } from "./columns.ts";

export const API_STATUSES = ["draft", "published", "deprecated", "removed"] as const;
export const UNITS = ["call", "unit", "byte", "millisecond"] as const;
export const METERS = ["call", "message"] as const;

/** Published APIs. The name is part of the URL and unique among those not removed. */
export const apis = pgTable(
  "apis",
  {
    id: id().primaryKey(),
    name: text("name").notNull(),
    displayName: text("display_name").notNull(),
    description: text("description").notNull(),
    category: text("category").notNull(),
    icon: text("icon"),
    status: text("status", { enum: API_STATUSES }).notNull(),
    openapi: jsonb("openapi").$type<Record<string, unknown>>().notNull(),
    examples: jsonb("examples").$type<Record<string, unknown>[]>().notNull().default([]),
    upstreamUrls: jsonb("upstream_urls").$type<string[]>().notNull().default([]),
    deleteDataUrl: text("delete_data_url"),
    deprecatedAt: instant("deprecated_at"),
    sunsetAt: instant("sunset_at"),
    /** The product's own: gateways serve it, the catalogue does not show it. */
    isInternal: boolean("is_internal").notNull().default(false),
    /** Counts the changes of the API, its endpoints and its prices, so that a reader sees one whatever the clocks say. */
    revision: count("revision").notNull(),
    /** 1 to 10 by the calls of the last 30 days, 0 before the first ranking. */
    popularity: integer("popularity").notNull().default(0),
    /** When the popularity changed last. */
    rankedAt: instant("ranked_at"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [
    uniqueIndex("apis_name_key").on(t.name),
    index("apis_updated_at_idx").on(t.updatedAt),
    // All that is asked to see whether anything has changed: rows have documents of megabytes beside them.
    index("apis_changes_idx").on(t.revision, t.rankedAt, t.status, t.id),
    index("apis_category_idx").on(t.category, t.name),
    check("apis_status_check", oneOf("status", API_STATUSES)),
  ],
);

/** One priced operation of an API. An endpoint that an update leaves out is retired, never deleted: usage points at it. */
export const endpoints = pgTable(
  "endpoints",
  {
    id: id().primaryKey(),
    apiId: id("api_id")
      .notNull()
      .references(() => apis.id),
    name: text("name").notNull(),
    method: text("method").notNull(),
    path: text("path").notNull(),
    freePerMonth: count("free_per_month").notNull(),
    /** What a unit is called: "call", "byte", "millisecond", or the API's own word, counted by its `Tollgate-Units` header. */
    unit: text("unit").notNull(),
    unitsMax: count("units_max").notNull(),
    meter: text("meter", { enum: METERS }).notNull(),
    isChargedOn4xx: boolean("is_charged_on_4xx").notNull(),
    timeoutMs: integer("timeout_ms").notNull(),
    bodyBytesMax: count("body_bytes_max").notNull(),
    createdAt: createdAt(),
    retiredAt: instant("retired_at"),
  },
  (t) => [
    uniqueIndex("endpoints_api_id_name_key").on(t.apiId, t.name),
    check("endpoints_meter_check", oneOf("meter", METERS)),
  ],
);

/** Versioned prices: a call is priced by the version in force when it was admitted. */
export const endpointPrices = pgTable(
  "endpoint_prices",
  {
    endpointId: id("endpoint_id")
      .notNull()
      .references(() => endpoints.id),
    effectiveFrom: instant("effective_from").notNull(),
    priceMicros: micros("price_micros").notNull(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.endpointId, t.effectiveFrom] })],
);
