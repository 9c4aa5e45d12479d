export * from "./context.ts";
export * from "./liveSettings.ts";
export * from "./permissions.ts";
