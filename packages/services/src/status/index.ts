export { openIncident } from "./openIncident.ts";
export type { Observation } from "./planObservation.ts";
export * from "./readCurrent.ts";
export * from "./readHistory.ts";
export * from "./recordObservations.ts";
export * from "./resolveIncident.ts";
export * from "./selfTest/index.ts";
export * from "./updateIncident.ts";
