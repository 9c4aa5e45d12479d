export * from "./sweepOauthStates.ts";
