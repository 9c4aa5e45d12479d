export * from "./createEventsHandler.ts";
export * from "./createRestHandler.ts";
export * from "./createTrpcHandler.ts";
export * from "./procedureMap.ts";
export * from "./readBody.ts";
