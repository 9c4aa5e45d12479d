import {
  createCustomerInput,
  customerDto,
  customerPage,
  customerRefInput,
  listCustomersInput,
  loginInput,
  meDto,
  refreshInput,
  sessionTokensDto,
} from "@tollgate/contracts";
import {
  createCustomer,
  listCustomers,
  login,
  logout,
  markVerified,
  readCustomer,
  readMe,
  refreshSession,
} from "@tollgate/services/customers";
import { z } from "zod";
import { adminOrServiceProcedure, adminProcedure, customerProcedure, publicProcedure, router } from "./trpc.ts";

/** People and their sessions. */
export const customersRouter = router({
  create: adminOrServiceProcedure
    .meta({
      description: "Makes a customer who has yet to prove their address. Again while unverified changes nothing.",
    })
    .input(createCustomerInput)
    .output(customerDto)
    .mutation(({ ctx, input }) => createCustomer({ ctx, input })),

  markVerified: adminOrServiceProcedure
    .meta({
      description: "Takes a customer's address as proven. Never lifts a ban and never revives a deleted customer.",
    })
    .input(customerRefInput)
    .output(customerDto)
    .mutation(({ ctx, input }) => markVerified({ ctx, input })),

  read: customerProcedure
    .meta({ description: "A customer by id or by address: oneself, or anyone for an operator." })
    .input(customerRefInput)
    .output(customerDto)
    .query(({ ctx, input }) => readCustomer({ ctx, input })),

  me: customerProcedure
    .meta({ description: "The caller, their projects with roles, and the billing accounts that they administer." })
    .output(meDto)
    .query(({ ctx }) => readMe({ ctx })),

  list: adminProcedure
    .meta({ description: "Customers by status and by the beginning of their address, newest first." })
    .input(listCustomersInput)
    .output(customerPage)
    .query(({ ctx, input }) => listCustomers({ ctx, input })),

  login: publicProcedure
    .meta({ description: "Signs in with an address and a password. Guessing is slowed down." })
    .input(loginInput)
    .output(sessionTokensDto)
    .mutation(({ ctx, input }) => login({ ctx, input })),

  refresh: publicProcedure
    .meta({ description: "New tokens for a refresh token, which can be used once. A second use ends the session." })
    .input(refreshInput)
    .output(sessionTokensDto)
    .mutation(({ ctx, input }) => refreshSession({ ctx, input })),

  logout: customerProcedure
    .meta({ description: "Ends the caller's session on every process within a second." })
    .output(z.object({ ok: z.literal(true) }))
    .mutation(({ ctx }) => logout({ ctx })),
});
