CREATE TABLE "analytics_contacts" (
	"customer_id" text NOT NULL,
	"sink" text NOT NULL,
	"contact_id" text NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "analytics_contacts_customer_id_sink_pk" PRIMARY KEY("customer_id","sink")
);
--> statement-breakpoint
CREATE TABLE "analytics_deliveries" (
	"id" text PRIMARY KEY NOT NULL,
	"sink" text NOT NULL,
	"event_id" text NOT NULL,
	"subject" text NOT NULL,
	"customer_id" text,
	"payload" jsonb NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text,
	"next_attempt_at" timestamp (3) with time zone NOT NULL,
	"claimed_until" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone NOT NULL,
	"sent_at" timestamp (3) with time zone,
	CONSTRAINT "analytics_deliveries_status_check" CHECK (status in ('pending', 'sent', 'refused'))
);
--> statement-breakpoint
CREATE TABLE "status_components" (
	"name" text PRIMARY KEY NOT NULL,
	"state" text NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	"failing_since" timestamp (3) with time zone,
	"latency_ms" integer,
	"checked_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "status_components_state_check" CHECK (state in ('up', 'degraded', 'down'))
);
--> statement-breakpoint
CREATE TABLE "status_days" (
	"component" text NOT NULL,
	"day" text NOT NULL,
	"up_ms" bigint DEFAULT 0 NOT NULL,
	"degraded_ms" bigint DEFAULT 0 NOT NULL,
	"down_ms" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "status_days_component_day_pk" PRIMARY KEY("component","day")
);
--> statement-breakpoint
CREATE TABLE "status_incident_updates" (
	"id" text PRIMARY KEY NOT NULL,
	"incident_id" text NOT NULL,
	"status" text NOT NULL,
	"message" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "status_incident_updates_status_check" CHECK (status in ('investigating', 'identified', 'monitoring', 'resolved'))
);
--> statement-breakpoint
CREATE TABLE "status_incidents" (
	"id" text PRIMARY KEY NOT NULL,
	"title" text NOT NULL,
	"impact" text NOT NULL,
	"status" text NOT NULL,
	"components" jsonb NOT NULL,
	"idempotency_key" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"resolved_at" timestamp (3) with time zone,
	CONSTRAINT "status_incidents_impact_check" CHECK (impact in ('minor', 'major', 'critical')),
	CONSTRAINT "status_incidents_status_check" CHECK (status in ('investigating', 'identified', 'monitoring', 'resolved'))
);
--> statement-breakpoint
CREATE TABLE "status_self_tests" (
	"id" text PRIMARY KEY NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"finished_at" timestamp (3) with time zone,
	"has_passed" boolean,
	"failed_step" text,
	"error" text,
	"steps" jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD COLUMN "is_internal" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "apis" ADD COLUMN "is_internal" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "customers" ADD COLUMN "is_internal" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "status_incident_updates" ADD CONSTRAINT "status_incident_updates_incident_id_status_incidents_id_fk" FOREIGN KEY ("incident_id") REFERENCES "public"."status_incidents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "analytics_deliveries_event_key" ON "analytics_deliveries" USING btree ("sink","event_id");--> statement-breakpoint
CREATE INDEX "analytics_deliveries_due_idx" ON "analytics_deliveries" USING btree ("sink","next_attempt_at") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "analytics_deliveries_created_at_idx" ON "analytics_deliveries" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "analytics_deliveries_customer_id_idx" ON "analytics_deliveries" USING btree ("customer_id") WHERE customer_id is not null;--> statement-breakpoint
CREATE INDEX "status_incident_updates_incident_id_idx" ON "status_incident_updates" USING btree ("incident_id","created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "status_incidents_idempotency_key" ON "status_incidents" USING btree ("idempotency_key");--> statement-breakpoint
CREATE INDEX "status_incidents_open_idx" ON "status_incidents" USING btree ("created_at","id") WHERE resolved_at is null;--> statement-breakpoint
CREATE INDEX "status_incidents_resolved_at_idx" ON "status_incidents" USING btree ("resolved_at");--> statement-breakpoint
CREATE INDEX "status_self_tests_started_at_idx" ON "status_self_tests" USING btree ("started_at");--> statement-breakpoint
CREATE INDEX "customers_internal_idx" ON "customers" USING btree ("created_at") WHERE is_internal;