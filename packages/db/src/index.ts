export * from "./audit.ts";
export * from "./database.ts";
export * from "./errorCodes.ts";
export * from "./messages.ts";
export * from "./migrate.ts";
export * from "./pendingMigrations.ts";
export type { LedgerLineDetail } from "./schema/balance.ts";
export * as schema from "./schema/index.ts";
export * from "./transaction.ts";
