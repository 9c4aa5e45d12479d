export * from "./tokenIssuer.ts";
