CREATE TABLE "audit_log" (
	"id" text PRIMARY KEY NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"before" jsonb,
	"after" jsonb,
	"request_id" text NOT NULL,
	"ip" text,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "grant_consumptions" (
	"transaction_id" text NOT NULL,
	"grant_id" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "grant_consumptions_transaction_id_grant_id_pk" PRIMARY KEY("transaction_id","grant_id")
);
--> statement-breakpoint
CREATE TABLE "grants" (
	"id" text PRIMARY KEY NOT NULL,
	"billing_account_id" text NOT NULL,
	"transaction_id" text NOT NULL,
	"source" text NOT NULL,
	"priority" integer NOT NULL,
	"amount_micros" bigint NOT NULL,
	"remaining_micros" bigint NOT NULL,
	"reference" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	CONSTRAINT "grants_source_check" CHECK (source in ('paid', 'promo', 'subscription', 'adjustment')),
	CONSTRAINT "grants_remaining_check" CHECK (remaining_micros >= 0 and remaining_micros <= amount_micros)
);
--> statement-breakpoint
CREATE TABLE "ledger_entries" (
	"transaction_id" text NOT NULL,
	"line" integer NOT NULL,
	"account" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"detail" jsonb,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "ledger_entries_transaction_id_line_pk" PRIMARY KEY("transaction_id","line")
);
--> statement-breakpoint
CREATE TABLE "ledger_transactions" (
	"id" text PRIMARY KEY NOT NULL,
	"billing_account_id" text NOT NULL,
	"kind" text NOT NULL,
	"idempotency_key" text NOT NULL,
	"request_hash" text NOT NULL,
	"reference" text NOT NULL,
	"is_visible" boolean NOT NULL,
	"actor" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "ledger_transactions_kind_check" CHECK (kind in ('credit', 'debit', 'settlement', 'transfer', 'expiry', 'refund', 'reversal'))
);
--> statement-breakpoint
CREATE TABLE "billing_account_admins" (
	"billing_account_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "billing_account_admins_billing_account_id_customer_id_pk" PRIMARY KEY("billing_account_id","customer_id")
);
--> statement-breakpoint
CREATE TABLE "billing_accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"tier_id" text NOT NULL,
	"time_zone" text DEFAULT 'UTC' NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tiers" (
	"id" text PRIMARY KEY NOT NULL,
	"display_name" text NOT NULL,
	"rank" integer NOT NULL,
	"monthly_price_micros" bigint NOT NULL,
	"free_calls_per_month" bigint NOT NULL,
	"rate_limit_per_second" integer NOT NULL,
	"overage" text NOT NULL,
	"credit_limit_micros" bigint NOT NULL,
	"rolls_over" boolean DEFAULT false NOT NULL,
	CONSTRAINT "tiers_overage_check" CHECK (overage in ('block', 'invoice'))
);
--> statement-breakpoint
CREATE TABLE "budget_holders" (
	"id" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"closed_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "budget_leases" (
	"budget_id" text NOT NULL,
	"holder_id" text NOT NULL,
	"granted" bigint NOT NULL,
	"settled" bigint NOT NULL,
	"returned" bigint NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "budget_leases_budget_id_holder_id_pk" PRIMARY KEY("budget_id","holder_id")
);
--> statement-breakpoint
CREATE TABLE "budgets" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"billing_account_id" text NOT NULL,
	"limit_amount" bigint NOT NULL,
	"overdraft" bigint DEFAULT 0 NOT NULL,
	"used" bigint DEFAULT 0 NOT NULL,
	"held" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "budgets_kind_check" CHECK (kind in ('wallet', 'tier_free', 'endpoint_free', 'project_cap', 'key_cap', 'test_calls')),
	CONSTRAINT "budgets_held_check" CHECK (held >= 0)
);
--> statement-breakpoint
CREATE TABLE "apis" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"display_name" text NOT NULL,
	"description" text NOT NULL,
	"category" text NOT NULL,
	"icon" text,
	"status" text NOT NULL,
	"openapi" jsonb NOT NULL,
	"examples" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"upstream_urls" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"delete_data_url" text,
	"deprecated_at" timestamp (3) with time zone,
	"sunset_at" timestamp (3) with time zone,
	"revision" bigint NOT NULL,
	"popularity" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "apis_status_check" CHECK (status in ('draft', 'published', 'deprecated', 'removed'))
);
--> statement-breakpoint
CREATE TABLE "endpoint_prices" (
	"endpoint_id" text NOT NULL,
	"effective_from" timestamp (3) with time zone NOT NULL,
	"price_micros" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "endpoint_prices_endpoint_id_effective_from_pk" PRIMARY KEY("endpoint_id","effective_from")
);
--> statement-breakpoint
CREATE TABLE "endpoints" (
	"id" text PRIMARY KEY NOT NULL,
	"api_id" text NOT NULL,
	"name" text NOT NULL,
	"method" text NOT NULL,
	"path" text NOT NULL,
	"free_per_month" bigint NOT NULL,
	"unit" text NOT NULL,
	"units_max" bigint NOT NULL,
	"meter" text NOT NULL,
	"is_charged_on_4xx" boolean NOT NULL,
	"timeout_ms" integer NOT NULL,
	"body_bytes_max" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"retired_at" timestamp (3) with time zone,
	CONSTRAINT "endpoints_meter_check" CHECK (meter in ('call', 'message'))
);
--> statement-breakpoint
CREATE TABLE "customer_ban_keys" (
	"customer_id" text NOT NULL,
	"key_id" text NOT NULL,
	CONSTRAINT "customer_ban_keys_customer_id_key_id_pk" PRIMARY KEY("customer_id","key_id")
);
--> statement-breakpoint
CREATE TABLE "customer_bans" (
	"customer_id" text PRIMARY KEY NOT NULL,
	"mailbox_hash" text NOT NULL,
	"reason" text NOT NULL,
	"previous_status" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "customer_exports" (
	"id" text PRIMARY KEY NOT NULL,
	"customer_id" text NOT NULL,
	"status" text NOT NULL,
	"token_hash" text,
	"body" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "customer_exports_status_check" CHECK (status in ('queued', 'ready'))
);
--> statement-breakpoint
CREATE TABLE "customers" (
	"id" text PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"name" text,
	"status" text NOT NULL,
	"is_operator" boolean DEFAULT false NOT NULL,
	"meta" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"deleted_at" timestamp (3) with time zone,
	CONSTRAINT "customers_status_check" CHECK (status in ('unverified', 'verified', 'banned', 'deleted'))
);
--> statement-breakpoint
CREATE TABLE "erasure_steps" (
	"customer_id" text NOT NULL,
	"step" text NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text,
	"detail" jsonb,
	"finished_at" timestamp (3) with time zone,
	CONSTRAINT "erasure_steps_customer_id_step_pk" PRIMARY KEY("customer_id","step"),
	CONSTRAINT "erasure_steps_status_check" CHECK (status in ('pending', 'done', 'skipped'))
);
--> statement-breakpoint
CREATE TABLE "erasures" (
	"customer_id" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"due_at" timestamp (3) with time zone NOT NULL,
	"finished_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "passwords" (
	"customer_id" text PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"customer_id" text NOT NULL,
	"refresh_hash" text NOT NULL,
	"user_agent" text,
	"ip" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"last_used_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"revoked_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "signing_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"generation" integer NOT NULL,
	"public_jwk" jsonb NOT NULL,
	"private_sealed" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"retired_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "throttles" (
	"id" text PRIMARY KEY NOT NULL,
	"attempts" integer NOT NULL,
	"blocked_until" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "email_suppressions" (
	"email" text PRIMARY KEY NOT NULL,
	"reason" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "email_suppressions_reason_check" CHECK (reason in ('bounce', 'complaint', 'unsubscribe', 'manual'))
);
--> statement-breakpoint
CREATE TABLE "emails" (
	"id" text PRIMARY KEY NOT NULL,
	"template" text NOT NULL,
	"recipient" text NOT NULL,
	"data" jsonb NOT NULL,
	"status" text NOT NULL,
	"idempotency_key" text NOT NULL,
	"request_hash" text,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"send_at" timestamp (3) with time zone NOT NULL,
	"claimed_until" timestamp (3) with time zone,
	"sent_at" timestamp (3) with time zone,
	CONSTRAINT "emails_status_check" CHECK (status in ('queued', 'sent', 'failed', 'cancelled', 'suppressed'))
);
--> statement-breakpoint
CREATE TABLE "key_activity" (
	"key_id" text PRIMARY KEY NOT NULL,
	"last_used_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "keys" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"start" text NOT NULL,
	"mode" text NOT NULL,
	"status" text NOT NULL,
	"blocked_message" text,
	"blocked_by" text,
	"scopes" jsonb NOT NULL,
	"allowed_cidrs" jsonb,
	"rate_limit_per_second" integer,
	"monthly_spend_cap_micros" bigint,
	"root_key_id" text NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"expiry_announced_at" timestamp (3) with time zone,
	CONSTRAINT "keys_mode_check" CHECK (mode in ('live', 'test')),
	CONSTRAINT "keys_status_check" CHECK (status in ('active', 'blocked', 'revoked')),
	CONSTRAINT "keys_blocked_by_check" CHECK (blocked_by in ('operator', 'ban'))
);
--> statement-breakpoint
CREATE TABLE "inbox" (
	"consumer" text NOT NULL,
	"event_id" text NOT NULL,
	"handled_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "inbox_consumer_event_id_pk" PRIMARY KEY("consumer","event_id")
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"version" integer NOT NULL,
	"payload" jsonb NOT NULL,
	"actor" text NOT NULL,
	"request_id" text NOT NULL,
	"traceparent" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"ordinal" bigint NOT NULL,
	"sent_at" timestamp (3) with time zone,
	CONSTRAINT "outbox_kind_check" CHECK (kind in ('event', 'job'))
);
--> statement-breakpoint
CREATE TABLE "oauth_identities" (
	"provider" text NOT NULL,
	"subject" text NOT NULL,
	"customer_id" text NOT NULL,
	"email" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"last_used_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "oauth_identities_provider_subject_pk" PRIMARY KEY("provider","subject"),
	CONSTRAINT "oauth_identities_provider_check" CHECK (provider in ('google', 'github'))
);
--> statement-breakpoint
CREATE TABLE "oauth_states" (
	"id" text PRIMARY KEY NOT NULL,
	"provider" text NOT NULL,
	"secrets_sealed" text NOT NULL,
	"binding_hash" text NOT NULL,
	"is_from_browser" boolean NOT NULL,
	"redirect_to" text,
	"customer_id" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "oauth_states_provider_check" CHECK (provider in ('google', 'github'))
);
--> statement-breakpoint
CREATE TABLE "promo_claims" (
	"mailbox_hash" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "verifications" (
	"id" text PRIMARY KEY NOT NULL,
	"purpose" text NOT NULL,
	"email" text NOT NULL,
	"customer_id" text NOT NULL,
	"secret_hash" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"consumed_at" timestamp (3) with time zone,
	CONSTRAINT "verifications_purpose_check" CHECK (purpose in ('signup', 'recover', 'email_change'))
);
--> statement-breakpoint
CREATE TABLE "visits" (
	"id" text PRIMARY KEY NOT NULL,
	"first_visit" timestamp (3) with time zone,
	"first_verification" timestamp (3) with time zone,
	"registration" timestamp (3) with time zone,
	"referrer" text,
	"email" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "waitlist" (
	"email" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "project_invites" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"email" text NOT NULL,
	"role" text NOT NULL,
	"invited_by" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"mails_sent" integer NOT NULL,
	"mailed_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "project_invites_role_check" CHECK (role in ('owner', 'admin', 'developer', 'billing', 'viewer'))
);
--> statement-breakpoint
CREATE TABLE "project_members" (
	"project_id" text NOT NULL,
	"customer_id" text NOT NULL,
	"role" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "project_members_project_id_customer_id_pk" PRIMARY KEY("project_id","customer_id"),
	CONSTRAINT "project_members_role_check" CHECK (role in ('owner', 'admin', 'developer', 'billing', 'viewer'))
);
--> statement-breakpoint
CREATE TABLE "projects" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"billing_account_id" text NOT NULL,
	"monthly_spend_cap_micros" bigint,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"deleted_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "accruals" (
	"billing_account_id" text NOT NULL,
	"hour" timestamp (3) with time zone NOT NULL,
	"project_id" text NOT NULL,
	"endpoint_id" text NOT NULL,
	"unit_price_micros" bigint NOT NULL,
	"calls" bigint NOT NULL,
	"units" bigint NOT NULL,
	"amount_micros" bigint NOT NULL,
	"settled_calls" bigint DEFAULT 0 NOT NULL,
	"settled_units" bigint DEFAULT 0 NOT NULL,
	"settled_micros" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "accruals_billing_account_id_hour_project_id_endpoint_id_unit_price_micros_pk" PRIMARY KEY("billing_account_id","hour","project_id","endpoint_id","unit_price_micros")
);
--> statement-breakpoint
CREATE TABLE "calls" (
	"project_id" text NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"id" text NOT NULL,
	"billing_account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"endpoint_id" text NOT NULL,
	"mode" text NOT NULL,
	"outcome" text NOT NULL,
	"status" smallint NOT NULL,
	"latency_ms" integer NOT NULL,
	"units" bigint NOT NULL,
	"unit_price_micros" bigint NOT NULL,
	"charged_micros" bigint NOT NULL,
	"request_bytes" bigint NOT NULL,
	"response_bytes" bigint NOT NULL,
	"source" text NOT NULL,
	"sequence" bigint NOT NULL,
	CONSTRAINT "calls_project_id_started_at_id_pk" PRIMARY KEY("project_id","started_at","id")
);
--> statement-breakpoint
CREATE TABLE "usage_batches" (
	"source" text NOT NULL,
	"sequence" bigint NOT NULL,
	"calls" integer NOT NULL,
	"charged_micros" bigint NOT NULL,
	"is_late" boolean NOT NULL,
	"folded_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "usage_batches_source_sequence_pk" PRIMARY KEY("source","sequence")
);
--> statement-breakpoint
CREATE TABLE "usage_hourly" (
	"project_id" text NOT NULL,
	"hour" timestamp (3) with time zone NOT NULL,
	"endpoint_id" text NOT NULL,
	"key_id" text NOT NULL,
	"mode" text NOT NULL,
	"status" smallint NOT NULL,
	"billing_account_id" text NOT NULL,
	"calls" bigint NOT NULL,
	"units" bigint NOT NULL,
	"charged_micros" bigint NOT NULL,
	"latency_ms_total" bigint NOT NULL,
	CONSTRAINT "usage_hourly_project_id_hour_endpoint_id_key_id_mode_status_pk" PRIMARY KEY("project_id","hour","endpoint_id","key_id","mode","status"),
	CONSTRAINT "usage_hourly_mode_check" CHECK (mode in ('live', 'test'))
);
--> statement-breakpoint
CREATE TABLE "usage_sources" (
	"source" text PRIMARY KEY NOT NULL,
	"folded_through" bigint NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "grant_consumptions" ADD CONSTRAINT "grant_consumptions_transaction_id_ledger_transactions_id_fk" FOREIGN KEY ("transaction_id") REFERENCES "public"."ledger_transactions"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "grant_consumptions" ADD CONSTRAINT "grant_consumptions_grant_id_grants_id_fk" FOREIGN KEY ("grant_id") REFERENCES "public"."grants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "grants" ADD CONSTRAINT "grants_transaction_id_ledger_transactions_id_fk" FOREIGN KEY ("transaction_id") REFERENCES "public"."ledger_transactions"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_entries" ADD CONSTRAINT "ledger_entries_transaction_id_ledger_transactions_id_fk" FOREIGN KEY ("transaction_id") REFERENCES "public"."ledger_transactions"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "billing_account_admins" ADD CONSTRAINT "billing_account_admins_billing_account_id_billing_accounts_id_fk" FOREIGN KEY ("billing_account_id") REFERENCES "public"."billing_accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "billing_account_admins" ADD CONSTRAINT "billing_account_admins_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD CONSTRAINT "billing_accounts_tier_id_tiers_id_fk" FOREIGN KEY ("tier_id") REFERENCES "public"."tiers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "endpoint_prices" ADD CONSTRAINT "endpoint_prices_endpoint_id_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."endpoints"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "endpoints" ADD CONSTRAINT "endpoints_api_id_apis_id_fk" FOREIGN KEY ("api_id") REFERENCES "public"."apis"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "passwords" ADD CONSTRAINT "passwords_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "keys" ADD CONSTRAINT "keys_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "oauth_identities" ADD CONSTRAINT "oauth_identities_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "project_invites" ADD CONSTRAINT "project_invites_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "project_members" ADD CONSTRAINT "project_members_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "project_members" ADD CONSTRAINT "project_members_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "projects" ADD CONSTRAINT "projects_billing_account_id_billing_accounts_id_fk" FOREIGN KEY ("billing_account_id") REFERENCES "public"."billing_accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_log_created_at_idx" ON "audit_log" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "audit_log_subject_idx" ON "audit_log" USING btree ("subject","created_at");--> statement-breakpoint
CREATE INDEX "audit_log_actor_idx" ON "audit_log" USING btree ("actor","created_at");--> statement-breakpoint
CREATE INDEX "grant_consumptions_grant_id_idx" ON "grant_consumptions" USING btree ("grant_id");--> statement-breakpoint
CREATE INDEX "grants_billing_account_id_idx" ON "grants" USING btree ("billing_account_id","created_at");--> statement-breakpoint
CREATE INDEX "grants_spendable_idx" ON "grants" USING btree ("billing_account_id") WHERE remaining_micros > 0;--> statement-breakpoint
CREATE INDEX "ledger_entries_account_idx" ON "ledger_entries" USING btree ("account","created_at","transaction_id","line");--> statement-breakpoint
CREATE UNIQUE INDEX "ledger_transactions_idempotency_key" ON "ledger_transactions" USING btree ("billing_account_id","idempotency_key");--> statement-breakpoint
CREATE INDEX "ledger_transactions_account_idx" ON "ledger_transactions" USING btree ("billing_account_id","created_at","id");--> statement-breakpoint
CREATE INDEX "billing_account_admins_customer_id_idx" ON "billing_account_admins" USING btree ("customer_id");--> statement-breakpoint
CREATE INDEX "billing_accounts_created_at_idx" ON "billing_accounts" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "budget_holders_open_idx" ON "budget_holders" USING btree ("expires_at") WHERE closed_at is null;--> statement-breakpoint
CREATE INDEX "budget_leases_holder_id_idx" ON "budget_leases" USING btree ("holder_id");--> statement-breakpoint
CREATE INDEX "budgets_billing_account_id_idx" ON "budgets" USING btree ("billing_account_id");--> statement-breakpoint
CREATE UNIQUE INDEX "apis_name_key" ON "apis" USING btree ("name");--> statement-breakpoint
CREATE INDEX "apis_updated_at_idx" ON "apis" USING btree ("updated_at");--> statement-breakpoint
CREATE INDEX "apis_category_idx" ON "apis" USING btree ("category","name");--> statement-breakpoint
CREATE UNIQUE INDEX "endpoints_api_id_name_key" ON "endpoints" USING btree ("api_id","name");--> statement-breakpoint
CREATE INDEX "customer_bans_mailbox_hash_idx" ON "customer_bans" USING btree ("mailbox_hash");--> statement-breakpoint
CREATE UNIQUE INDEX "customer_exports_queued_key" ON "customer_exports" USING btree ("customer_id") WHERE status = 'queued';--> statement-breakpoint
CREATE UNIQUE INDEX "customer_exports_token_hash_key" ON "customer_exports" USING btree ("token_hash");--> statement-breakpoint
CREATE INDEX "customer_exports_customer_id_idx" ON "customer_exports" USING btree ("customer_id","created_at");--> statement-breakpoint
CREATE INDEX "customer_exports_expires_at_idx" ON "customer_exports" USING btree ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "customers_email_live_key" ON "customers" USING btree ("email") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "customers_email_idx" ON "customers" USING btree ("email");--> statement-breakpoint
CREATE INDEX "customers_created_at_idx" ON "customers" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "erasures_due_idx" ON "erasures" USING btree ("due_at") WHERE finished_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX "sessions_refresh_hash_key" ON "sessions" USING btree ("refresh_hash");--> statement-breakpoint
CREATE INDEX "sessions_customer_id_idx" ON "sessions" USING btree ("customer_id","created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "signing_keys_generation_key" ON "signing_keys" USING btree ("generation");--> statement-breakpoint
CREATE INDEX "throttles_updated_at_idx" ON "throttles" USING btree ("updated_at");--> statement-breakpoint
CREATE UNIQUE INDEX "emails_idempotency_key" ON "emails" USING btree ("idempotency_key");--> statement-breakpoint
CREATE INDEX "emails_due_idx" ON "emails" USING btree ("send_at") WHERE status = 'queued';--> statement-breakpoint
CREATE INDEX "emails_cancelled_idx" ON "emails" USING btree ("created_at") WHERE status = 'cancelled';--> statement-breakpoint
CREATE INDEX "emails_recipient_idx" ON "emails" USING btree ("recipient","created_at");--> statement-breakpoint
CREATE INDEX "emails_created_at_idx" ON "emails" USING btree ("created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "keys_hash_key" ON "keys" USING btree ("hash");--> statement-breakpoint
CREATE INDEX "keys_project_id_idx" ON "keys" USING btree ("project_id","created_at","id");--> statement-breakpoint
CREATE INDEX "keys_expiring_idx" ON "keys" USING btree ("expires_at") WHERE expires_at is not null and expiry_announced_at is null;--> statement-breakpoint
CREATE INDEX "inbox_handled_at_idx" ON "inbox" USING btree ("handled_at");--> statement-breakpoint
CREATE INDEX "outbox_unsent_idx" ON "outbox" USING btree ("created_at","ordinal","id") WHERE sent_at is null;--> statement-breakpoint
CREATE INDEX "outbox_sent_at_idx" ON "outbox" USING btree ("sent_at");--> statement-breakpoint
CREATE UNIQUE INDEX "oauth_identities_customer_key" ON "oauth_identities" USING btree ("customer_id","provider");--> statement-breakpoint
CREATE INDEX "oauth_states_expires_at_idx" ON "oauth_states" USING btree ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "verifications_subject_key" ON "verifications" USING btree ("email","purpose","customer_id");--> statement-breakpoint
CREATE INDEX "verifications_customer_id_idx" ON "verifications" USING btree ("customer_id");--> statement-breakpoint
CREATE INDEX "verifications_expires_at_idx" ON "verifications" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "visits_email_idx" ON "visits" USING btree ("email");--> statement-breakpoint
CREATE UNIQUE INDEX "project_invites_subject_key" ON "project_invites" USING btree ("project_id","email");--> statement-breakpoint
CREATE INDEX "project_invites_email_idx" ON "project_invites" USING btree ("email","expires_at");--> statement-breakpoint
CREATE INDEX "project_members_customer_id_idx" ON "project_members" USING btree ("customer_id","created_at");--> statement-breakpoint
CREATE INDEX "projects_billing_account_id_idx" ON "projects" USING btree ("billing_account_id","created_at");--> statement-breakpoint
CREATE INDEX "accruals_unsettled_idx" ON "accruals" USING btree ("hour","billing_account_id") WHERE settled_micros < amount_micros;--> statement-breakpoint
CREATE INDEX "calls_id_idx" ON "calls" USING btree ("id");--> statement-breakpoint
CREATE INDEX "usage_batches_folded_at_idx" ON "usage_batches" USING btree ("folded_at");--> statement-breakpoint
CREATE INDEX "usage_hourly_hour_idx" ON "usage_hourly" USING btree ("hour","endpoint_id");