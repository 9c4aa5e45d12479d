import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import {
  idSchema,
  instantInput,
  microsOutput,
  nameInput,
  nonNegativeMicrosInput,
  pageInput,
  pageOf,
  positiveMicrosInput,
} from "./primitives.ts";

export const keyMode = z.enum(["live", "test"]);
export const keyStatus = z.enum(["active", "blocked", "revoked", "expired"]);

/** A key as members of its project see it; never the secret. */
export const keyDto = z.object({
  id: z.string(),
  projectId: z.string(),
  name: z.string(),
  start: z.string(),
  mode: keyMode,
  status: keyStatus,
  blockedMessage: z.string().nullable(),
  scopes: z.array(z.string()),
  allowedCidrs: z.array(z.string()).nullable(),
  rateLimitPerSecond: z.int().nullable(),
  monthlySpendCapMicros: microsOutput.nullable(),
  createdAt: z.date(),
  expiresAt: z.date().nullable(),
  lastUsedAt: z.date().nullable(),
  monthToDateCalls: z.int(),
  monthToDateMicros: microsOutput,
});
export type Key = z.infer<typeof keyDto>;

/** Names of APIs in any case, or `*` for all, alone or in a list. */
const scopesInput = z.union(
  [
    z.array(z.string().trim().toLowerCase().min(1).max(64)).min(1).max(100),
    z.literal("*").transform((all): string[] => [all]),
  ],
  { error: 'Must be a list of API names, or "*" for all' },
);
const rateLimitInput = z.int().min(1).max(1_000_000);
/** Networks or single addresses, IPv4 or IPv6. */
const cidrsInput = z.array(z.string().trim().max(64)).min(1).max(50);

export const generateKeyInput = z.object({
  projectId: idSchema("project"),
  name: nameInput.default("default"),
  scopes: scopesInput.default(["*"]),
  mode: keyMode.default("live"),
  expiresAt: instantInput.optional(),
  rateLimitPerSecond: rateLimitInput.optional(),
  monthlySpendCapMicros: positiveMicrosInput.optional(),
  allowedCidrs: cidrsInput.optional(),
});
/** A key whose text is already in use elsewhere. */
export const importKeyInput = generateKeyInput.extend({ key: z.string().max(64) });
/** The secret is in the answer to `generate` and nowhere else. */
export const generatedKeyDto = z.object({ id: z.string(), key: z.string() });
export type GeneratedKey = z.infer<typeof generatedKeyDto>;

export const listKeysInput = pageInput.extend({ projectId: idSchema("project") });
export const keyPage = pageOf(keyDto);
export const keyIdInput = z.object({ id: idSchema("key") });

/** What is left out stays; null lifts a limit. Caps and rate limits are those of a whole rotation chain. */
export const updateKeyInput = keyIdInput.extend({
  name: nameInput.optional(),
  scopes: scopesInput.optional(),
  expiresAt: instantInput.nullable().optional(),
  rateLimitPerSecond: rateLimitInput.nullable().optional(),
  monthlySpendCapMicros: positiveMicrosInput.nullable().optional(),
  allowedCidrs: cidrsInput.nullable().optional(),
});

export const rotateKeyInput = keyIdInput.extend({
  /** How long the old key still works beside the new one; at most a week. */
  graceSeconds: z.int().min(0).max(604_800).default(0),
});

/** One key, all keys of a project, or all keys of the projects that a customer owns. */
const keysOf = {
  keyId: idSchema("key").optional(),
  projectId: idSchema("project").optional(),
  customerId: idSchema("customer").optional(),
};
const hasOneSubject = (input: { keyId?: unknown; projectId?: unknown; customerId?: unknown }): boolean =>
  [input.keyId, input.projectId, input.customerId].filter((id) => id !== undefined).length === 1;
const oneSubject = { error: "Give exactly one of keyId, projectId and customerId", path: ["keyId"] };

/** The message is what callers of the gateway see. */
export const blockKeysInput = z
  .object({ ...keysOf, message: z.string().trim().min(1).max(500) })
  .refine(hasOneSubject, oneSubject);
export const unblockKeysInput = z.object(keysOf).refine(hasOneSubject, oneSubject);
/** The keys that changed; those that were so already are not among them. */
export const changedKeysDto = z.object({ keyIds: z.array(z.string()) });
export type ChangedKeys = z.infer<typeof changedKeysDto>;

const keyTextInput = z.string().max(128);

/** What a service asks before it serves a call itself. */
export const verifyKeyInput = z.object({
  key: keyTextInput,
  /** The published API, by name; without it only the key and what it has to spend are looked at. */
  api: z.string().trim().toLowerCase().min(1).max(64).optional(),
  /** The endpoint of the API, by name. */
  endpoint: z.string().trim().min(1).max(128).optional(),
  /** What the call would cost, where that is not the endpoint's price. */
  cost: nonNegativeMicrosInput.optional(),
  /** Where the call comes from. Without it a key that is bound to networks is refused. */
  address: z.union([z.ipv4(), z.ipv6()]).optional(),
});
/** How a limit of a call's rate stands, in the words of the gateway's `RateLimit` fields. */
const rateStandingDto = z.object({
  name: z.enum(["key", "project", "tier"]),
  /** Calls in any window. */
  quota: z.int(),
  windowSeconds: z.int(),
  remaining: z.int(),
  /** Seconds until there is room again: the window's length while there is some. */
  resetSeconds: z.int(),
});

/** The gateway's decision about such a call, counted under its rate limits when allowed, and with no money set aside. */
export const keyVerdictDto = z.object({
  isAllowed: z.boolean(),
  /** `allowed`, or the code that the gateway refuses with. */
  code: z.string(),
  message: z.string(),
  /** The HTTP status that the gateway answers a refusal with; 200 when allowed. */
  status: z.int(),
  /** How the call would be paid for; null when refused, or when neither an endpoint nor a cost was named. */
  outcome: z.enum(["free", "quota", "charged", "test"]).nullable(),
  priceMicros: microsOutput,
  /** The limits that the call counts under; empty when it was refused before they were looked at, or nobody can say. */
  rateLimits: z.array(rateStandingDto),
  /** For `rate_limited`: when to come again. */
  retryAfterSeconds: z.int().nullable(),
  /** Whose key it is; null for a text that is no key. */
  key: z
    .object({
      id: z.string(),
      projectId: z.string(),
      billingAccountId: z.string(),
      mode: keyMode,
      scopes: z.array(z.string()),
    })
    .nullable(),
});
export type KeyVerdict = z.infer<typeof keyVerdictDto>;

/** A secret scanner's find. */
export const reportLeakedInput = z.object({
  key: keyTextInput,
  /** Where it was found; shown to the owners. */
  url: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .optional(),
});
/** The same for every text, a key or not. */
export const leakReportedDto = z.object({ received: z.literal(true) });
export type LeakReported = z.infer<typeof leakReportedDto>;

/** Announces keys that have expired, once each. */
export const keysExpireSweep = defineJob({
  name: "keys.expire-sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

const keyEventData = z.object({ keyId: z.string(), projectId: z.string(), keyHash: z.string() });
export const keysGenerated = defineEvent("keys.generated", keyEventData);
export const keysUpdated = defineEvent("keys.updated", keyEventData);
export const keysRotated = defineEvent("keys.rotated", keyEventData.extend({ newKeyId: z.string() }));
export const keysRevoked = defineEvent("keys.revoked", keyEventData);
export const keysBlocked = defineEvent("keys.blocked", keyEventData.extend({ message: z.string() }));
export const keysUnblocked = defineEvent("keys.unblocked", keyEventData);
export const keysExpired = defineEvent("keys.expired", keyEventData);
