export * from "./creditWallet.ts";
