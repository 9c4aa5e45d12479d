export { BOOK_CHECKS } from "./bookChecks.ts";
export * from "./checkBooks.ts";
export * from "./runChecks.ts";
