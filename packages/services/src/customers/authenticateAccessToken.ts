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
    const { customerId, sessionId, impersonatedBy, expiresAtMs } = entry.claims;
    const askedAt = this.#options.clock.now();
    const row = await retryRead(() => this.#findHolder(impersonatedBy ?? customerId, sessionId, askedAt));
    const isStanding =
      impersonatedBy === undefined || (row?.is_operator === true && (await retryRead(() => this.#maySee(customerId))));
    if (row === undefined || !isStanding) {
      this.#entries.delete(token);
      throw unauthorized("This session has ended: sign in again", { reason: "session_ended" });
    }
    entry.actor =
      impersonatedBy === undefined
        ? { kind: "customer", customerId, sessionId, isOperator: row.is_operator }
        : {
            ...{ kind: "customer", customerId, sessionId, isOperator: false },
            ...{ impersonatedBy, impersonatedUntilMs: expiresAtMs },
          };
    entry.checkedAtMs = askedAt.getTime();
    return entry.actor;
  }

  /** Whose session it is, if it stands. */
  async #findHolder(customerId: string, sessionId: string, at: Date): Promise<{ is_operator: boolean } | undefined> {
    const [row] = await this.#options.database.sql<{ is_operator: boolean }[]>`
      select c.is_operator
      from sessions s
      join customers c on c.id = s.customer_id
      where s.id = ${sessionId} and s.customer_id = ${customerId} and s.revoked_at is null
        and s.expires_at > ${at} and c.status = 'verified' and c.deleted_at is null`;
    return row;
  }

  /** Whether an operator may look through the eyes of this customer, who may be banned and may not be an operator. */
  async #maySee(customerId: string): Promise<boolean> {
    const rows = await this.#options.database.sql`
      select id from customers where id = ${customerId} and deleted_at is null and not is_operator`;
    return rows.length > 0;
  }
}

/** The authenticator of a process. */
export function createAccessTokenAuthenticator(options: AccessTokenAuthenticatorOptions): AccessTokenAuthenticator {
  return new AccessTokenAuthenticator(options);
}
