CREATE INDEX "budget_holders_unfolded_idx" ON "budget_holders" USING btree ("unfolded_since") WHERE unfolded_since is not null;--> statement-breakpoint
-- Whoever was closed before this had its calls counted, or nobody was told.
UPDATE "budget_holders" SET "unfolded" = 0, "unfolded_since" = null WHERE "closed_at" is not null and "unfolded_since" is not null;
