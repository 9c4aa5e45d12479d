import { createHash } from "node:crypto";
import { randomBase62 } from "@tollgate/kernel";

/** How long a copy of somebody's data can be downloaded. */
export const EXPORT_LIFETIME_MS = 48 * 3_600_000;

/** The token of a download link: 32 random characters, of which only the hash is kept. */
export const makeExportToken = (): string => `tge_${randomBase62(32)}`;

export const hashExportToken = (token: string): string => createHash("sha256").update(token).digest("hex");

/** What the text of an export is sealed for. */
export const EXPORT_SEAL_PURPOSE = "customer_exports.body";
