export { createGateway, type RunningGateway } from "./createGateway.ts";
export type { GatewayEnv } from "./env.ts";
