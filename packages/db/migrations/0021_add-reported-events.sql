CREATE TABLE "reported_events" (
	"key" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"type" text NOT NULL,
	"occurred_at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"event" text NOT NULL
);
--> statement-breakpoint
CREATE INDEX "reported_events_type_idx" ON "reported_events" USING btree ("project_id","type","received_at");