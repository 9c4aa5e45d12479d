export { FaultProxy } from "./faultProxy/faultProxy.ts";
export { DatabaseSnapshot, type RowChange } from "./security/databaseSnapshot.ts";
export { type HostileInput, hostileInputs, hostileJson } from "./security/hostileInputs.ts";
export { createTestDatabase, type TestDatabase } from "./testDatabase.ts";
export { createTestNamespace, type TestNamespace } from "./testNamespace.ts";
export { type TestRun, testUrls } from "./testRun.ts";
export * from "./testSize.ts";
