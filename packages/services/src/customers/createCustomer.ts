import type { Customer, createCustomerInput } from "@tollgate/contracts";
import { withTransaction } from "@tollgate/db";
import { conflict } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { ensureCustomer } from "./ensureCustomer.ts";
import { toCustomer } from "./internal.ts";

/**
 * A customer who has yet to prove their address, for operators and services. Doing it again while the customer is
 * unverified changes nothing. @throws TollgateError UNAUTHORIZED, FORBIDDEN; CONFLICT `email_taken`
 */
export async function createCustomer({ ctx, input }: Verb<z.output<typeof createCustomerInput>>): Promise<Customer> {
  requireAdminOrService(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await ensureCustomer(ctx, input);
      if (customer.status !== "unverified") {
        throw conflict("There is a customer with this address", {
          reason: "email_taken",
          issues: [{ path: "email", message: "Belongs to a customer" }],
        });
      }
      return toCustomer(customer);
    },
    { isIdempotent: true },
  );
}
