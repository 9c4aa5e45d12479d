export * from "./deleteSecret.ts";
export * from "./listSecrets.ts";
export * from "./loadUpstreamSecrets.ts";
export * from "./rewrapSecrets.ts";
export * from "./setSecret.ts";
