export * from "./listTiers.ts";
export * from "./readAccount.ts";
export * from "./seedTiers.ts";
