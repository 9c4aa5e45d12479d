import { z } from "zod";
import { defineEvent } from "./definitions.ts";
import { idSchema, microsOutput, nameInput, pageInput, pageOf, positiveMicrosInput } from "./primitives.ts";

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

export const generateKeyInput = z.object({
  projectId: idSchema("project"),
  name: nameInput.default("default"),
  scopes: z.array(z.string().trim().min(1).max(64)).min(1).max(100).default(["*"]),
  mode: keyMode.default("live"),
  expiresAt: z.coerce.date().optional(),
  rateLimitPerSecond: z.int().min(1).max(1_000_000).optional(),
  monthlySpendCapMicros: positiveMicrosInput.optional(),
  allowedCidrs: z.array(z.string().max(64)).min(1).max(50).optional(),
});
/** The secret is in the answer to `generate` and nowhere else. */
export const generatedKeyDto = z.object({ id: z.string(), key: z.string() });
export type GeneratedKey = z.infer<typeof generatedKeyDto>;

export const listKeysInput = pageInput.extend({ projectId: idSchema("project") });
export const keyPage = pageOf(keyDto);
export const keyIdInput = z.object({ id: idSchema("key") });

const keyEventData = z.object({ keyId: z.string(), projectId: z.string(), keyHash: z.string() });
export const keysGenerated = defineEvent("keys.generated", keyEventData);
export const keysUpdated = defineEvent("keys.updated", keyEventData);
export const keysRotated = defineEvent("keys.rotated", keyEventData.extend({ newKeyId: z.string() }));
export const keysRevoked = defineEvent("keys.revoked", keyEventData);
export const keysBlocked = defineEvent("keys.blocked", keyEventData.extend({ message: z.string() }));
export const keysUnblocked = defineEvent("keys.unblocked", keyEventData);
export const keysExpired = defineEvent("keys.expired", keyEventData);
