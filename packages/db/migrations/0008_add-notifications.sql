CREATE TABLE "notification_subscriptions" (
	"customer_id" text NOT NULL,
	"resource_type" text NOT NULL,
	"resource_id" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "notification_subscriptions_customer_id_resource_type_resource_id_pk" PRIMARY KEY("customer_id","resource_type","resource_id"),
	CONSTRAINT "notification_subscriptions_resource_type_check" CHECK (resource_type in ('project', 'billingAccount', 'api'))
);
--> statement-breakpoint
CREATE TABLE "notifications" (
	"id" text PRIMARY KEY NOT NULL,
	"customer_id" text NOT NULL,
	"event_id" text NOT NULL,
	"type" text NOT NULL,
	"text" text NOT NULL,
	"project_id" text,
	"billing_account_id" text,
	"api_id" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"read_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "notification_subscriptions" ADD CONSTRAINT "notification_subscriptions_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "notifications" ADD CONSTRAINT "notifications_customer_id_customers_id_fk" FOREIGN KEY ("customer_id") REFERENCES "public"."customers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "notification_subscriptions_resource_idx" ON "notification_subscriptions" USING btree ("resource_type","resource_id");--> statement-breakpoint
CREATE UNIQUE INDEX "notifications_event_key" ON "notifications" USING btree ("customer_id","event_id");--> statement-breakpoint
CREATE INDEX "notifications_customer_id_idx" ON "notifications" USING btree ("customer_id","created_at","id");