export * from "./callRecord.ts";
export * from "./foldCalls.ts";
export * from "./sources.ts";
