export * from "./provisionCustomer.ts";
