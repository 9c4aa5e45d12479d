CREATE TABLE "parked_events" (
	"id" text PRIMARY KEY NOT NULL,
	"consumer" text NOT NULL,
	"event_id" text NOT NULL,
	"subject" text NOT NULL,
	"lane" text NOT NULL,
	"envelope" jsonb NOT NULL,
	"status" text NOT NULL,
	"reason" text NOT NULL,
	"attempts" integer NOT NULL,
	"last_error" text,
	"next_attempt_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"appended_at" timestamp(6) with time zone DEFAULT clock_timestamp() NOT NULL,
	"died_at" timestamp (3) with time zone,
	CONSTRAINT "parked_events_status_check" CHECK (status in ('waiting', 'dead')),
	CONSTRAINT "parked_events_reason_check" CHECK (reason in ('failed', 'blocked', 'malformed', 'unknown_version'))
);
--> statement-breakpoint
CREATE TABLE "relay_terms" (
	"name" text PRIMARY KEY NOT NULL,
	"term" bigint NOT NULL,
	"holder" text NOT NULL,
	"began_at" timestamp (3) with time zone NOT NULL,
	"stream_created" text,
	"stream_sequence" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
DROP INDEX "outbox_unsent_idx";--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "appended_at" timestamp(6) with time zone DEFAULT clock_timestamp() NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "parked_events_consumer_event_id_key" ON "parked_events" USING btree ("consumer","event_id");--> statement-breakpoint
CREATE INDEX "parked_events_lane_idx" ON "parked_events" USING btree ("consumer","lane","appended_at","id") WHERE status = 'waiting';--> statement-breakpoint
CREATE INDEX "parked_events_next_attempt_at_idx" ON "parked_events" USING btree ("next_attempt_at") WHERE status = 'waiting';--> statement-breakpoint
CREATE INDEX "parked_events_died_at_idx" ON "parked_events" USING btree ("died_at","id") WHERE status = 'dead';--> statement-breakpoint
CREATE INDEX "outbox_waiting_idx" ON "outbox" USING btree ("kind","appended_at","ordinal","id") WHERE sent_at is null;