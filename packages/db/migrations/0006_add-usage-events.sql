CREATE TABLE "usage_events" (
	"project_id" text NOT NULL,
	"source" text NOT NULL,
	"event_id" text NOT NULL,
	"id" text NOT NULL,
	"type" text NOT NULL,
	"occurred_at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"event" jsonb NOT NULL,
	CONSTRAINT "usage_events_project_id_source_event_id_pk" PRIMARY KEY("project_id","source","event_id")
);
--> statement-breakpoint
CREATE TABLE "usage_events_hourly" (
	"project_id" text NOT NULL,
	"hour" timestamp (3) with time zone NOT NULL,
	"type" text NOT NULL,
	"events" bigint NOT NULL,
	CONSTRAINT "usage_events_hourly_project_id_hour_type_pk" PRIMARY KEY("project_id","hour","type")
);
--> statement-breakpoint
CREATE INDEX "usage_events_type_idx" ON "usage_events" USING btree ("project_id","type","received_at","id");