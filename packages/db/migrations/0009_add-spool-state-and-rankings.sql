CREATE TABLE "pipeline_stalls" (
	"stage" text PRIMARY KEY NOT NULL,
	"since" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "budget_holders" ADD COLUMN "unfolded" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "budget_holders" ADD COLUMN "folded" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "budget_holders" ADD COLUMN "unfolded_since" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "ranking_name" text;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "ranked_calls" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "projects_ranked_calls_idx" ON "projects" USING btree ("ranked_calls") WHERE ranking_name is not null;