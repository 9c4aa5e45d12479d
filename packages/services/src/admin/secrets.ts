import type { Secret } from "@tollgate/contracts";
import type { schema } from "@tollgate/db";
import { Keyring } from "@tollgate/kernel";
import type { ServiceSettings } from "../context.ts";

export type SecretRow = typeof schema.upstreamSecrets.$inferSelect;

/** The deployment's master keys. */
export const keyringOf = (settings: Pick<ServiceSettings, "masterSecret" | "masterKeys">): Keyring =>
  new Keyring(settings.masterSecret, settings.masterKeys);

/**
 * What a secret's value belongs to. All of it is bound in: whoever can write to the table cannot have a value sent to
 * another API, or under another name.
 */
export const secretContext = (row: Pick<SecretRow, "id" | "apiId" | "placement" | "name">): string =>
  JSON.stringify(["upstream_secrets", row.id, row.apiId, row.placement, row.name]);

export function toSecret(row: SecretRow, api: string): Secret {
  const { id, placement, name, masterKeyId, createdAt, updatedAt } = row;
  return { id, api, placement, name, masterKeyId, createdAt, updatedAt };
}
