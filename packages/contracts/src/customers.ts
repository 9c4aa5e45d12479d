import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { emailInput, idSchema, nameInput, pageInput, pageOf } from "./primitives.ts";
import { projectDto } from "./projects.ts";

export const customerStatus = z.enum(["unverified", "verified", "banned", "deleted"]);

/** A person with a login. */
export const customerDto = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string().nullable(),
  status: customerStatus,
  isOperator: z.boolean(),
  meta: z.record(z.string(), z.unknown()),
  createdAt: z.date(),
  updatedAt: z.date(),
});
export type Customer = z.infer<typeof customerDto>;

export const createCustomerInput = z.object({ email: emailInput, name: nameInput.optional() });
/** A customer by id or by address. */
export const customerRefInput = z.union([
  z.strictObject({ id: idSchema("customer") }),
  z.strictObject({ email: emailInput }),
]);
export const listCustomersInput = pageInput.extend({
  status: customerStatus.optional(),
  /** The beginning of an address. */
  emailPrefix: z.string().trim().toLowerCase().max(254).optional(),
});
export const customerPage = pageOf(customerDto);

/** A patch of a customer's notes, as RFC 7396 merges it: null takes a field out. */
const metaPatchInput = z.record(z.string(), z.json());

/** What is left out stays. A status moves only where {@link CUSTOMER_STATUS_MOVES} says that it may. */
export const updateCustomerInput = z.object({
  id: idSchema("customer"),
  status: customerStatus.optional(),
  name: nameInput.nullable().optional(),
  meta: metaPatchInput.optional(),
});
export const updateNameInput = z.object({ name: nameInput });

/** Which status a customer may get from which. From `banned` only back to what the customer was before. */
export const CUSTOMER_STATUS_MOVES = {
  unverified: ["verified", "banned", "deleted"],
  verified: ["banned", "deleted"],
  banned: ["unverified", "verified", "deleted"],
  deleted: [],
} as const satisfies Record<z.infer<typeof customerStatus>, readonly z.infer<typeof customerStatus>[]>;

/** Oneself without an id; anybody for an operator. */
export const deleteCustomerInput = z.object({
  id: idSchema("customer").optional(),
  /** Erase the personal data now, and not in 30 days. It cannot be undone. */
  force: z.boolean().default(false),
});
export const customerDeletionDto = z.object({
  customerId: z.string(),
  /** When the personal data is erased. */
  erasedFrom: z.date(),
});
export type CustomerDeletion = z.infer<typeof customerDeletionDto>;

/** How far an erasure is, for operators. */
export const erasureDto = z.object({
  customerId: z.string(),
  createdAt: z.date(),
  dueAt: z.date(),
  finishedAt: z.date().nullable(),
  steps: z.array(
    z.object({
      step: z.string(),
      status: z.enum(["pending", "done", "skipped"]),
      attempts: z.int(),
      lastError: z.string().nullable(),
      detail: z.record(z.string(), z.unknown()).nullable(),
      finishedAt: z.date().nullable(),
    }),
  ),
});
export type Erasure = z.infer<typeof erasureDto>;
export const customerIdInput = z.object({ id: idSchema("customer") });

const banReasonInput = z.string().trim().min(1, { error: "Must say why" }).max(500);
export const banCustomerInput = z.union([
  z.strictObject({ id: idSchema("customer"), reason: banReasonInput }),
  z.strictObject({ email: emailInput, reason: banReasonInput }),
]);
/** The reason is for the audit. */
export const unbanCustomerInput = z.union([
  z.strictObject({ id: idSchema("customer"), reason: banReasonInput.optional() }),
  z.strictObject({ email: emailInput, reason: banReasonInput.optional() }),
]);

/** A device that is signed in. */
export const sessionDto = z.object({
  id: z.string(),
  userAgent: z.string().nullable(),
  ip: z.string().nullable(),
  createdAt: z.date(),
  lastUsedAt: z.date(),
  expiresAt: z.date(),
  /** The one that asks. */
  isCurrent: z.boolean(),
});
export type Session = z.infer<typeof sessionDto>;
export const listSessionsInput = pageInput;
export const sessionPage = pageOf(sessionDto);
export const sessionIdInput = z.object({ id: idSchema("session") });
export const revokeAllSessionsInput = z.object({
  /** Leave the session that asks. */
  keepCurrent: z.boolean().default(false),
});
export const revokedSessionsDto = z.object({ revoked: z.int() });
export type RevokedSessions = z.infer<typeof revokedSessionsDto>;

/** An order for everything that is held about the caller; a mail brings the link. */
export const exportOrderDto = z.object({ id: z.string(), status: z.enum(["queued", "ready"]), createdAt: z.date() });
export type ExportOrder = z.infer<typeof exportOrderDto>;

/** What `me` answers: the person, their projects with roles, and the billing accounts that they administer. */
export const meDto = z.object({
  customer: customerDto,
  projects: z.array(projectDto),
  billingAccounts: z.array(z.object({ id: z.string(), name: z.string(), tierId: z.string() })),
});
export type Me = z.infer<typeof meDto>;

/** A password to sign in with. The upper bound keeps hashing cheap for strangers. */
export const passwordInput = z.string().min(1, { error: "Must not be empty" }).max(256);
/** A password to choose. Common ones are refused when it is set. */
export const newPasswordInput = z.string().min(10, { error: "Must have at least 10 characters" }).max(256);

export const loginInput = z.object({ email: emailInput, password: passwordInput });
export const refreshInput = z.object({ refreshToken: z.string().min(1).max(256) });

/** The tokens of a session. `expiresAt` is the access token's; the refresh token is good for one use. */
export const sessionTokensDto = z.object({
  accessToken: z.string(),
  refreshToken: z.string(),
  expiresAt: z.date(),
});
export type SessionTokens = z.infer<typeof sessionTokensDto>;

const customerEventData = z.object({ customerId: z.string() });
const sessionEventData = customerEventData.extend({ sessionId: z.string() });
export const customersCreated = defineEvent("customers.created", customerEventData);
export const customersVerified = defineEvent("customers.verified", customerEventData);
export const customersSignedUp = defineEvent(
  "customers.signedUp",
  customerEventData.extend({ method: z.enum(["email", "google", "github"]) }),
);
export const customersLoggedIn = defineEvent(
  "customers.loggedIn",
  sessionEventData.extend({ method: z.enum(["password", "google", "github"]) }),
);
export const customersTokenRefreshed = defineEvent("customers.tokenRefreshed", sessionEventData);
export const customersLoggedOut = defineEvent("customers.loggedOut", sessionEventData);
export const customersUpdated = defineEvent(
  "customers.updated",
  customerEventData.extend({
    /** Names of the fields that changed. */
    fields: z.array(z.string()),
  }),
);
export const customersBanned = defineEvent("customers.banned", customerEventData);
export const customersUnbanned = defineEvent("customers.unbanned", customerEventData);
export const customersDeleted = defineEvent(
  "customers.deleted",
  customerEventData.extend({
    /** When the personal data is erased, in ISO 8601. */
    erasedFrom: z.string(),
  }),
);
export const customersErased = defineEvent("customers.erased", customerEventData);
export const customersPasswordReset = defineEvent("customers.passwordReset", customerEventData);
export const customersDataExported = defineEvent("customers.dataExported", customerEventData);

/** Goes on with the erasure of one customer where it stands. */
export const eraseCustomerJob = defineJob({
  name: "customers.erase",
  queue: "maintenance",
  schema: z.object({ customerId: z.string() }),
  attempts: 5,
  backoffMs: 2_000,
  id: ({ customerId }) => customerId,
});

/** Puts together what is held about one customer. */
export const exportCustomerJob = defineJob({
  name: "customers.export",
  queue: "maintenance",
  schema: z.object({ exportId: z.string() }),
  attempts: 5,
  backoffMs: 2_000,
  id: ({ exportId }) => exportId,
});

/** Orders the erasures and exports that are due, and forgets sessions, codes and links that have run out. */
export const customersSweepJob = defineJob({
  name: "customers.sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

/** Makes a new signing key when the present one has served its time. */
export const rotateSigningKeyJob = defineJob({
  name: "customers.rotate-signing-key",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 3,
  backoffMs: 10_000,
});
