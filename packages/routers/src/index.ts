export * from "./appRouter.ts";
export * from "./context.ts";
export * from "./errors.ts";
export * from "./trpc.ts";
