export * from "./deprecateApi.ts";
export * from "./loadCatalogue.ts";
export { type PriceVersion, priceAt } from "./planEndpoints.ts";
export * from "./publishApi.ts";
export * from "./removeApi.ts";
export * from "./updateApi.ts";
