import { boolean, check, index, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, oneOf } from "./columns.ts";
import { customers } from "./customers.ts";

export const OAUTH_PROVIDERS = ["google", "github"] as const;

/**
 * A sign-in that has gone off to a provider and is awaited back, once. The id is the hash of `state` (RFC 6749, 10.12), so
 * who reads the table cannot finish it; what the provider must be shown (PKCE, nonce) is sealed.
 */
export const oauthStates = pgTable(
  "oauth_states",
  {
    id: id().primaryKey(),
    provider: text("provider", { enum: OAUTH_PROVIDERS }).notNull(),
    secretsSealed: text("secrets_sealed").notNull(),
    /** The hash of what only the one who started it has. */
    bindingHash: text("binding_hash").notNull(),
    /** Whether a page started it: then whoever finishes it must show the binding. */
    isFromBrowser: boolean("is_from_browser").notNull(),
    redirectTo: text("redirect_to"),
    /** Set when a signed-in customer adds a way to sign in. */
    customerId: id("customer_id"),
    createdAt: createdAt(),
    expiresAt: instant("expires_at").notNull(),
  },
  (t) => [
    index("oauth_states_expires_at_idx").on(t.expiresAt),
    check("oauth_states_provider_check", oneOf("provider", OAUTH_PROVIDERS)),
  ],
);

/** An account at a provider that a customer signs in with. The provider's `subject` never changes; the address may. */
export const oauthIdentities = pgTable(
  "oauth_identities",
  {
    provider: text("provider", { enum: OAUTH_PROVIDERS }).notNull(),
    subject: text("subject").notNull(),
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    /** The address at the provider when it was last used. */
    email: text("email").notNull(),
    createdAt: createdAt(),
    lastUsedAt: instant("last_used_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.provider, t.subject] }),
    uniqueIndex("oauth_identities_customer_key").on(t.customerId, t.provider),
    check("oauth_identities_provider_check", oneOf("provider", OAUTH_PROVIDERS)),
  ],
);
