export * from "./budgetIds.ts";
export * from "./computeGrant.ts";
export * from "./holders.ts";
export * from "./leaseBudgets.ts";
export * from "./resolveLimits.ts";
export * from "./spendCaps.ts";
