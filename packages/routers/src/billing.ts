import { billingAccountDto, readAccountInput, tierDto } from "@tollgate/contracts";
import { listTiers, readAccount } from "@tollgate/services/billing";
import { z } from "zod";
import { authenticatedProcedure, publicProcedure, router } from "./trpc.ts";

/** Tiers, subscriptions and invoices. */
export const billingRouter = router({
  listTiers: publicProcedure
    .meta({ description: "Every plan with its price, free calls and limits, cheapest first." })
    .output(z.object({ items: z.array(tierDto) }))
    .query(({ ctx }) => listTiers({ ctx })),

  readAccount: authenticatedProcedure
    .meta({ description: "A billing account with its tier and admins." })
    .input(readAccountInput)
    .output(billingAccountDto)
    .query(({ ctx, input }) => readAccount({ ctx, input })),
});
