export * from "./startMailchimpStandIn.ts";
export * from "./startMixpanelStandIn.ts";
export type { SinkFault, SinkStandIn } from "./startSinkStandIn.ts";
