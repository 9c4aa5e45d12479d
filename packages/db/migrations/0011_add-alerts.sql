CREATE TABLE "alert_messages" (
	"id" text PRIMARY KEY NOT NULL,
	"alert_id" text NOT NULL,
	"target" text NOT NULL,
	"channel_sealed" text NOT NULL,
	"title" text NOT NULL,
	"text" text NOT NULL,
	"is_resolved" boolean NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text,
	"next_attempt_at" timestamp (3) with time zone NOT NULL,
	"claimed_until" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone NOT NULL,
	"sent_at" timestamp (3) with time zone,
	CONSTRAINT "alert_messages_status_check" CHECK (status in ('pending', 'sent', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "alert_rules" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text,
	"billing_account_id" text,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"threshold_micros" bigint,
	"threshold_percent" double precision,
	"window_hours" integer NOT NULL,
	"channels_sealed" text NOT NULL,
	"is_enabled" boolean DEFAULT true NOT NULL,
	"state" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"evaluated_at" timestamp (3) with time zone,
	CONSTRAINT "alert_rules_owner_check" CHECK ((project_id is null) <> (billing_account_id is null)),
	CONSTRAINT "alert_rules_kind_check" CHECK (kind in ('balanceBelow', 'spendAbove', 'errorRateAbove', 'noUsage')),
	CONSTRAINT "alert_rules_state_check" CHECK (state in ('unknown', 'ok', 'firing'))
);
--> statement-breakpoint
CREATE TABLE "alerts" (
	"id" text PRIMARY KEY NOT NULL,
	"rule_id" text,
	"project_id" text,
	"billing_account_id" text,
	"customer_id" text,
	"title" text NOT NULL,
	"text" text NOT NULL,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"resolved_at" timestamp (3) with time zone,
	"acknowledged_at" timestamp (3) with time zone,
	"acknowledged_by" text
);
--> statement-breakpoint
ALTER TABLE "alert_rules" ADD CONSTRAINT "alert_rules_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alert_rules" ADD CONSTRAINT "alert_rules_billing_account_id_billing_accounts_id_fk" FOREIGN KEY ("billing_account_id") REFERENCES "public"."billing_accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "alert_messages_due_idx" ON "alert_messages" USING btree ("next_attempt_at") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "alert_messages_target_idx" ON "alert_messages" USING btree ("target","next_attempt_at");--> statement-breakpoint
CREATE INDEX "alert_rules_project_id_idx" ON "alert_rules" USING btree ("project_id","created_at");--> statement-breakpoint
CREATE INDEX "alert_rules_billing_account_id_idx" ON "alert_rules" USING btree ("billing_account_id","created_at");--> statement-breakpoint
CREATE INDEX "alert_rules_due_idx" ON "alert_rules" USING btree ("evaluated_at","id") WHERE is_enabled;--> statement-breakpoint
CREATE INDEX "alerts_project_id_idx" ON "alerts" USING btree ("project_id","created_at","id");--> statement-breakpoint
CREATE INDEX "alerts_billing_account_id_idx" ON "alerts" USING btree ("billing_account_id","created_at","id");--> statement-breakpoint
CREATE INDEX "alerts_rule_id_idx" ON "alerts" USING btree ("rule_id","created_at");--> statement-breakpoint
CREATE INDEX "alerts_created_at_idx" ON "alerts" USING btree ("created_at","id");