export * from "./eventStream.ts";
export * from "./eventSubscriber.ts";
export * from "./pushBus.ts";
export * from "./queues.ts";
export * from "./rateGate.ts";
export * from "./rateStore.ts";
