import { billingRouter } from "./billing.ts";
import { router } from "./trpc.ts";

/** Every procedure, by domain. */
export const appRouter = router({
  billing: billingRouter,
});

export type AppRouter = typeof appRouter;
