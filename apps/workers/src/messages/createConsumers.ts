import type { Consumers } from "@tollgate/services/messages";

/**
 * What each consuming domain does about each of its events (`CONSUMERS` in the contracts). A handler writes to the database
 * and orders jobs, nothing else; see docs/decisions/0020-consumers.md.
 */
export const createConsumers = (): Consumers => ({});
