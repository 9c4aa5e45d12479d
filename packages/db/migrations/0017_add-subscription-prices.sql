ALTER TABLE "subscriptions" ADD COLUMN "price_micros" bigint;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "price_months" integer;