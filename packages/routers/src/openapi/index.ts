export * from "./describeApi.ts";
export * from "./renderReference.ts";
