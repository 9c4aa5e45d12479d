export * from "./context.ts";
export * from "./permissions.ts";
