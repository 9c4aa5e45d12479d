export { completeOauth } from "./completeOauth.ts";
export * from "./linkOauth.ts";
export { listOauth } from "./listOauth.ts";
export * from "./oauthProviders.ts";
export * from "./returnFromProvider.ts";
export * from "./startOauth.ts";
export * from "./sweepOauthStates.ts";
export * from "./unlinkOauth.ts";
