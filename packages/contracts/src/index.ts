export * from "./balance.ts";
export * from "./billing.ts";
export * from "./definitions.ts";
export * from "./keys.ts";
export * from "./primitives.ts";
