import {
  banCustomerInput,
  createCustomerInput,
  customerDeletionDto,
  customerDto,
  customerIdInput,
  customerPage,
  customerRefInput,
  deleteCustomerInput,
  doneDto,
  erasureDto,
  exportOrderDto,
  listCustomersInput,
  listSessionsInput,
  loginInput,
  meDto,
  refreshInput,
  revokeAllSessionsInput,
  revokedSessionsDto,
  sessionIdInput,
  sessionPage,
  sessionTokensDto,
  unbanCustomerInput,
  updateCustomerInput,
  updateNameInput,
} from "@tollgate/contracts";
import {
  banCustomer,
  createCustomer,
  deleteCustomer,
  exportData,
  listCustomers,
  listSessions,
  login,
  logout,
  markVerified,
  readCustomer,
  readErasure,
  readMe,
  refreshSession,
  revokeAllSessions,
  revokeSession,
  unbanCustomer,
  updateCustomer,
  updateName,
} from "@tollgate/services/customers";
import { adminOrServiceProcedure, adminProcedure, customerProcedure, publicProcedure, router } from "./trpc.ts";

const EXAMPLE_ID = "cus_4fDq8ZkT2mXw9bNcR7LpVa";

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
    .meta({
      description: "Signs in with an address and a password. Guessing is slowed down.",
      isOpenInMaintenance: true,
    })
    .input(loginInput)
    .output(sessionTokensDto)
    .mutation(({ ctx, input }) => login({ ctx, input })),

  refresh: publicProcedure
    .meta({
      description: "New tokens for a refresh token, which can be used once. A second use ends the session.",
      isOpenInMaintenance: true,
    })
    .input(refreshInput)
    .output(sessionTokensDto)
    .mutation(({ ctx, input }) => refreshSession({ ctx, input })),

  logout: customerProcedure
    .meta({ description: "Ends the caller's session on every process within a second.", isOpenInMaintenance: true })
    .output(doneDto)
    .mutation(({ ctx }) => logout({ ctx })),

  update: adminProcedure
    .meta({
      description: "Changes a customer's name, notes (a merge patch) and status, where the status may move there.",
      example: { id: EXAMPLE_ID, meta: { segment: "beta" } },
    })
    .input(updateCustomerInput)
    .output(customerDto)
    .mutation(({ ctx, input }) => updateCustomer({ ctx, input })),

  updateName: customerProcedure
    .meta({ description: "Changes the caller's name." })
    .input(updateNameInput)
    .output(customerDto)
    .mutation(({ ctx, input }) => updateName({ ctx, input })),

  delete: customerProcedure
    .meta({
      description: "Deletes an account. Sessions and keys stop at once; personal data is erased 30 days later, or now.",
    })
    .input(deleteCustomerInput)
    .output(customerDeletionDto)
    .mutation(({ ctx, input }) => deleteCustomer({ ctx, input })),

  readErasure: adminProcedure
    .meta({ description: "How far the erasure of a deleted customer is, step by step." })
    .input(customerIdInput)
    .output(erasureDto)
    .query(({ ctx, input }) => readErasure({ ctx, input })),

  ban: adminProcedure
    .meta({
      description: "Bans a customer: sessions end, keys are blocked, signing up with the address is refused.",
      example: { id: EXAMPLE_ID, reason: "Resells stolen cards" },
    })
    .input(banCustomerInput)
    .output(customerDto)
    .mutation(({ ctx, input }) => banCustomer({ ctx, input })),

  unban: adminProcedure
    .meta({ description: "Lifts a ban and gives back what it took, and nothing else.", example: { id: EXAMPLE_ID } })
    .input(unbanCustomerInput)
    .output(customerDto)
    .mutation(({ ctx, input }) => unbanCustomer({ ctx, input })),

  listSessions: customerProcedure
    .meta({ description: "The devices on which the caller is signed in, newest first." })
    .input(listSessionsInput)
    .output(sessionPage)
    .query(({ ctx, input }) => listSessions({ ctx, input })),

  revokeSession: customerProcedure
    .meta({ description: "Signs one of the caller's devices out, on every process within a second." })
    .input(sessionIdInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => revokeSession({ ctx, input })),

  revokeAllSessions: customerProcedure
    .meta({ description: "Signs the caller out on every device, or on every other one." })
    .input(revokeAllSessionsInput)
    .output(revokedSessionsDto)
    .mutation(({ ctx, input }) => revokeAllSessions({ ctx, input })),

  exportData: customerProcedure
    .meta({ description: "Orders a copy of everything that is held about the caller. A mail brings the link." })
    .output(exportOrderDto)
    .mutation(({ ctx }) => exportData({ ctx })),
});
