export { ServiceTokens } from "./authentication.ts";
export * from "./createApiServer.ts";
export type { ApiResources } from "./requestContext.ts";
