CREATE TABLE "data_deletions" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"api_id" text NOT NULL,
	"cause" text NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"attempt_log" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"next_attempt_at" timestamp (3) with time zone NOT NULL,
	"claimed_until" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone NOT NULL,
	"completed_at" timestamp (3) with time zone,
	CONSTRAINT "data_deletions_cause_check" CHECK (cause in ('operator', 'erasure')),
	CONSTRAINT "data_deletions_status_check" CHECK (status in ('pending', 'done', 'skipped', 'failed'))
);
--> statement-breakpoint
ALTER TABLE "data_deletions" ADD CONSTRAINT "data_deletions_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "data_deletions" ADD CONSTRAINT "data_deletions_api_id_apis_id_fk" FOREIGN KEY ("api_id") REFERENCES "public"."apis"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "data_deletions_pending_key" ON "data_deletions" USING btree ("project_id","api_id") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "data_deletions_due_idx" ON "data_deletions" USING btree ("next_attempt_at") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "data_deletions_project_id_idx" ON "data_deletions" USING btree ("project_id","created_at","id");--> statement-breakpoint
CREATE INDEX "data_deletions_created_at_idx" ON "data_deletions" USING btree ("created_at","id");