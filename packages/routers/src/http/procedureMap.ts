import type { AnyTRPCProcedure, AnyTRPCRouter } from "@trpc/server";

/**
 * Every procedure of a router by its path (`keys.generate`), made once, so that finding one costs one look-up.
 * @throws Error for a router with lazy parts, which cannot be listed before they are loaded
 */
export function procedureMap(router: AnyTRPCRouter): ReadonlyMap<string, AnyTRPCProcedure> {
  if (Object.keys(router._def.lazy).length > 0) throw new Error("Lazy routers cannot be served here");
  return new Map(Object.entries(router._def.procedures as Record<string, AnyTRPCProcedure>));
}
