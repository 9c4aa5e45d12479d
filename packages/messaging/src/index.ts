export * from "./pushBus.ts";
export * from "./queues.ts";
