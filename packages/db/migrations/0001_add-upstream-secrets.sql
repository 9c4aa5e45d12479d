CREATE TABLE "upstream_secrets" (
	"id" text PRIMARY KEY NOT NULL,
	"api_id" text NOT NULL,
	"placement" text NOT NULL,
	"name" text NOT NULL,
	"master_key_id" text NOT NULL,
	"wrapped_key" text NOT NULL,
	"sealed_value" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "upstream_secrets_placement_check" CHECK (placement in ('header', 'query'))
);
--> statement-breakpoint
ALTER TABLE "upstream_secrets" ADD CONSTRAINT "upstream_secrets_api_id_apis_id_fk" FOREIGN KEY ("api_id") REFERENCES "public"."apis"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "upstream_secrets_place_key" ON "upstream_secrets" USING btree ("api_id","placement","name");--> statement-breakpoint
CREATE INDEX "upstream_secrets_created_at_idx" ON "upstream_secrets" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "upstream_secrets_master_key_id_idx" ON "upstream_secrets" USING btree ("master_key_id","id");