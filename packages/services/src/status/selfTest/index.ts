export * from "./admitStranger.ts";
export * from "./claimSelfTest.ts";
export * from "./forgetStrangers.ts";
export type { SelfTestGround } from "./prepareSelfTest.ts";
export { prepareSelfTest, SELF_TEST_API, SELF_TEST_ENDPOINT, SELF_TEST_PRICE_MICROS } from "./prepareSelfTest.ts";
export * from "./readSelfTest.ts";
export * from "./recordSelfTest.ts";
