export { BOOK_CHECKS } from "./bookChecks.ts";
export * from "./checkBooks.ts";
export * from "./listInvariants.ts";
export * from "./runChecks.ts";
