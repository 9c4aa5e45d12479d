export * from "./keyFormat.ts";
export * from "./loadKeyRecord.ts";
