import { z } from "zod";
import { defineEvent } from "./definitions.ts";
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
  customerEventData.extend({ method: z.enum(["email"]) }),
);
export const customersLoggedIn = defineEvent(
  "customers.loggedIn",
  sessionEventData.extend({ method: z.enum(["password"]) }),
);
export const customersTokenRefreshed = defineEvent("customers.tokenRefreshed", sessionEventData);
export const customersLoggedOut = defineEvent("customers.loggedOut", sessionEventData);
