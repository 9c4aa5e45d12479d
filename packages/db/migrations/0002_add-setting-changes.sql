CREATE TABLE "setting_changes" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"revision" integer NOT NULL,
	"value" text NOT NULL,
	"actor" text NOT NULL,
	"request_id" text NOT NULL,
	"rolled_back_to" integer,
	"changed_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "setting_changes_name_idx" ON "setting_changes" USING btree ("name","revision");