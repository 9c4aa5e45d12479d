export { ApiError as StripeApiError } from "./http/apiError.ts";
export type { Fault, FaultKind } from "./http/faults.ts";
export { libraryFor } from "./libraryFor.ts";
export type { StripeStandIn, StripeStandInOptions } from "./startStripeStandIn.ts";
export { startStripeStandIn } from "./startStripeStandIn.ts";
export type { Attempt, DeliveryPlan } from "./world/deliveries.ts";
export { signatureOf } from "./world/deliveries.ts";
export type { StoredEvent } from "./world/stored.ts";
