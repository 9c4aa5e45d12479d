CREATE TABLE "balance_levels" (
	"billing_account_id" text PRIMARY KEY NOT NULL,
	"threshold_micros" bigint,
	"is_low" boolean DEFAULT false NOT NULL,
	"is_exhausted" boolean DEFAULT false NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "invoice_entries" (
	"transaction_id" text NOT NULL,
	"line" integer NOT NULL,
	"invoice_id" text NOT NULL,
	CONSTRAINT "invoice_entries_transaction_id_line_pk" PRIMARY KEY("transaction_id","line")
);
--> statement-breakpoint
CREATE TABLE "invoice_lines" (
	"invoice_id" text NOT NULL,
	"line" integer NOT NULL,
	"description" text NOT NULL,
	"project_id" text,
	"endpoint_id" text,
	"quantity" bigint NOT NULL,
	"unit_price_micros" bigint NOT NULL,
	"amount_micros" bigint NOT NULL,
	CONSTRAINT "invoice_lines_invoice_id_line_pk" PRIMARY KEY("invoice_id","line")
);
--> statement-breakpoint
CREATE TABLE "invoice_series" (
	"series" text PRIMARY KEY NOT NULL,
	"last_number" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "invoices" (
	"id" text PRIMARY KEY NOT NULL,
	"billing_account_id" text NOT NULL,
	"kind" text NOT NULL,
	"status" text NOT NULL,
	"number" text,
	"period_start" timestamp (3) with time zone NOT NULL,
	"period_end" timestamp (3) with time zone NOT NULL,
	"time_zone" text NOT NULL,
	"currency" text NOT NULL,
	"total_micros" bigint NOT NULL,
	"due_micros" bigint NOT NULL,
	"seller" jsonb NOT NULL,
	"customer" jsonb NOT NULL,
	"corrects_id" text,
	"reason" text,
	"stripe_invoice_id" text,
	"idempotency_key" text,
	"finalized_at" timestamp (3) with time zone,
	"paid_at" timestamp (3) with time zone,
	"voided_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "invoices_kind_check" CHECK (kind in ('usage', 'subscription', 'credit_note')),
	CONSTRAINT "invoices_status_check" CHECK (status in ('draft', 'final', 'paid', 'void')),
	CONSTRAINT "invoices_due_check" CHECK (due_micros >= 0)
);
--> statement-breakpoint
ALTER TABLE "ledger_transactions" ADD COLUMN "corrects_id" text;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD COLUMN "address" jsonb;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD COLUMN "tax_id" text;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD COLUMN "invoice_email" text;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD COLUMN "period_anchor" text;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD COLUMN "cadence" text DEFAULT 'monthly' NOT NULL;--> statement-breakpoint
ALTER TABLE "invoice_entries" ADD CONSTRAINT "invoice_entries_invoice_id_invoices_id_fk" FOREIGN KEY ("invoice_id") REFERENCES "public"."invoices"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "invoice_lines" ADD CONSTRAINT "invoice_lines_invoice_id_invoices_id_fk" FOREIGN KEY ("invoice_id") REFERENCES "public"."invoices"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "invoices" ADD CONSTRAINT "invoices_billing_account_id_billing_accounts_id_fk" FOREIGN KEY ("billing_account_id") REFERENCES "public"."billing_accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "invoice_entries_invoice_id_idx" ON "invoice_entries" USING btree ("invoice_id");--> statement-breakpoint
CREATE UNIQUE INDEX "invoices_period_key" ON "invoices" USING btree ("billing_account_id","period_start") WHERE kind = 'usage';--> statement-breakpoint
CREATE UNIQUE INDEX "invoices_number_key" ON "invoices" USING btree ("number");--> statement-breakpoint
CREATE UNIQUE INDEX "invoices_stripe_invoice_id_key" ON "invoices" USING btree ("stripe_invoice_id");--> statement-breakpoint
CREATE UNIQUE INDEX "invoices_idempotency_key" ON "invoices" USING btree ("billing_account_id","idempotency_key");--> statement-breakpoint
CREATE INDEX "invoices_billing_account_id_idx" ON "invoices" USING btree ("billing_account_id","created_at","id");--> statement-breakpoint
CREATE INDEX "invoices_due_idx" ON "invoices" USING btree ("billing_account_id") WHERE status = 'final';--> statement-breakpoint
CREATE INDEX "invoices_corrects_id_idx" ON "invoices" USING btree ("corrects_id") WHERE corrects_id is not null;--> statement-breakpoint
CREATE INDEX "ledger_transactions_corrects_id_idx" ON "ledger_transactions" USING btree ("corrects_id") WHERE corrects_id is not null;