export { askUpstream, type DeletionOutcome } from "./askUpstream.ts";
export { deleteTenantData } from "./deleteTenantData.ts";
export { eraseUpstreams } from "./eraseUpstreams.ts";
export { listDataDeletions } from "./listDataDeletions.ts";
export { sweepTenantData } from "./sweepTenantData.ts";
