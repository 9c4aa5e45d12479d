ALTER TABLE "apis" ADD COLUMN "ranked_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "apis_changes_idx" ON "apis" USING btree ("revision","ranked_at","status","id");