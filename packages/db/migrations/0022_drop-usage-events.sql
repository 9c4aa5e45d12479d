-- The digest as the product makes it. PostgreSQL's is bytes, whose text begins with "\x"; CockroachDB's is text.
INSERT INTO "reported_events" ("key", "project_id", "type", "occurred_at", "received_at", "event")
SELECT left(right(sha256(convert_to("project_id" || ' ' || "source" || ' ' || "event_id", 'UTF8'))::text, 64), 32),
       "project_id", "type", "occurred_at", "received_at", "event"::text
FROM "usage_events"
ON CONFLICT DO NOTHING;--> statement-breakpoint
DROP TABLE "usage_events" CASCADE;
