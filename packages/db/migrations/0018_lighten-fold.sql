DROP INDEX "calls_id_idx";--> statement-breakpoint
DROP INDEX "accruals_unsettled_idx";--> statement-breakpoint
ALTER TABLE "accruals" ADD COLUMN "is_settled" boolean GENERATED ALWAYS AS (settled_micros >= amount_micros) STORED NOT NULL;--> statement-breakpoint
CREATE INDEX "accruals_unsettled_idx" ON "accruals" USING btree ("hour","billing_account_id") WHERE not is_settled;--> statement-breakpoint
-- Rows that every fold adds to: with room on their pages PostgreSQL updates them in place, without writing to an index.
ALTER TABLE "usage_hourly" SET (fillfactor = 70);--> statement-breakpoint
ALTER TABLE "accruals" SET (fillfactor = 70);--> statement-breakpoint
ALTER TABLE "key_activity" SET (fillfactor = 70);--> statement-breakpoint
ALTER TABLE "budgets" SET (fillfactor = 70);--> statement-breakpoint
ALTER TABLE "budget_leases" SET (fillfactor = 70);
