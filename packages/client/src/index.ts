export { createTollgateClient, type TollgateClient, type TollgateClientOptions } from "./createTollgateClient.ts";
