export type { OauthStandIns, StandIn, StandInFault, StandInPerson } from "./startOauthStandIns.ts";
export { startOauthStandIns } from "./startOauthStandIns.ts";
