CREATE TABLE "check_runs" (
	"check_name" text PRIMARY KEY NOT NULL,
	"ok" boolean NOT NULL,
	"differences" jsonb NOT NULL,
	"ran_at" timestamp (3) with time zone NOT NULL,
	"broken_since" timestamp (3) with time zone
);
--> statement-breakpoint
DROP INDEX "audit_log_subject_idx";--> statement-breakpoint
DROP INDEX "audit_log_actor_idx";--> statement-breakpoint
CREATE INDEX "audit_log_subject_created_at_idx" ON "audit_log" USING btree ("subject","created_at","id");--> statement-breakpoint
CREATE INDEX "audit_log_actor_created_at_idx" ON "audit_log" USING btree ("actor","created_at","id");--> statement-breakpoint
CREATE INDEX "audit_log_action_created_at_idx" ON "audit_log" USING btree ("action","created_at","id");