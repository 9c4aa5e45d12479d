import type { Database } from "@tollgate/db";
import { retryRead } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import { unauthorized } from "@tollgate/kernel";
import type { CustomerActor } from "../permissions.ts";
import type { AccessClaims, TokenIssuer } from "./tokenIssuer.ts";

/**
 * From an access token to who is acting. A token is a claim about the past, so the session and the customer behind it are
 * looked up as well; the answer is used for half a second, so that logging out, a ban, a deletion or a new password
 * takes effect within one second on every process, at two queries a second for a busy session.
 */
const STANDING_MAX_AGE_MS = 500;
const TOKENS_MAX = 10_000;

interface Entry {
  readonly claims: AccessClaims;
  actor: CustomerActor | undefined;
  /** When the query that `actor` came from was sent. */
  checkedAtMs: number;
  checking: Promise<CustomerActor> | undefined;
}

export interface AccessTokenAuthenticatorOptions {
  readonly database: Database;
  readonly tokenIssuer: TokenIssuer;
  readonly clock: Clock;
}

/** One per process. */
export class AccessTokenAuthenticator {
  readonly #options: AccessTokenAuthenticatorOptions;
  /** By token, in the order of last use. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: AccessTokenAuthenticatorOptions) {
    this.#options = options;
  }

  /** @throws TollgateError UNAUTHORIZED `invalid_token`, `token_expired`, `session_ended`; UNAVAILABLE without a database */
  async authenticateAccessToken(token: string): Promise<CustomerActor> {
    const nowMs = this.#options.clock.nowMs();
    const entry = await this.#requireEntry(token, nowMs);
    if (entry.actor !== undefined && nowMs - entry.checkedAtMs < STANDING_MAX_AGE_MS) return entry.actor;
    entry.checking ??= this.#check(token, entry).finally(() => {
      entry.checking = undefined;
    });
    return entry.checking;
  }

  async #requireEntry(token: string, nowMs: number): Promise<Entry> {
    const known = this.#entries.get(token);
    this.#entries.delete(token);
    const entry =
      known !== undefined && nowMs < known.claims.expiresAtMs
        ? known
        : {
            claims: await this.#options.tokenIssuer.verifyAccessToken(token),
            actor: undefined,
            checkedAtMs: 0,
            checking: undefined,
          };
    this.#entries.set(token, entry);
    if (this.#entries.size > TOKENS_MAX) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    return entry;
  }

  async #check(token: string, entry: Entry): Promise<CustomerActor> {
    const { customerId, sessionId } = entry.claims;
    const askedAt = this.#options.clock.now();
    const { sql } = this.#options.database;
    const [row] = await retryRead(
      () => sql<{ is_operator: boolean }[]>`
        select c.is_operator
        from sessions s
        join customers c on c.id = s.customer_id
        where s.id = ${sessionId} and s.customer_id = ${customerId} and s.revoked_at is null
          and s.expires_at > ${askedAt} and c.status = 'verified' and c.deleted_at is null`,
    );
    if (row === undefined) {
      this.#entries.delete(token);
      throw unauthorized("This session has ended: sign in again", { reason: "session_ended" });
    }
    entry.actor = { kind: "customer", customerId, sessionId, isOperator: row.is_operator };
    entry.checkedAtMs = askedAt.getTime();
    return entry.actor;
  }
}

/** The authenticator of a process. */
export function createAccessTokenAuthenticator(options: AccessTokenAuthenticatorOptions): AccessTokenAuthenticator {
  return new AccessTokenAuthenticator(options);
}
