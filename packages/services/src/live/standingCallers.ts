import type { Database } from "@tollgate/db";
import { retryRead } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import type { CustomerActor } from "../permissions.ts";

/**
 * Whether callers who were let in with a token would still be let in with it: all of them in one query, and a second one
 * when operators look through the eyes of customers. It answers what the authenticator would.
 */
export async function checkStanding(
  database: Database,
  clock: Clock,
  actors: readonly CustomerActor[],
): Promise<(actor: CustomerActor) => boolean> {
  const now = clock.now();
  const sessionIds = [...new Set(actors.map(({ sessionId }) => sessionId))];
  const seenIds = [
    ...new Set(actors.flatMap(({ customerId, impersonatedBy }) => (impersonatedBy === undefined ? [] : [customerId]))),
  ];
  const sessions = await retryRead(
    () => database.sql<{ id: string; is_operator: boolean }[]>`
      select s.id, c.is_operator from sessions s join customers c on c.id = s.customer_id
      where s.id = any(${sessionIds}) and s.revoked_at is null and s.expires_at > ${now}
        and c.status = 'verified' and c.deleted_at is null`,
  );
  const seen = seenIds.length === 0 ? [] : await retryRead(() => findSeen(database, seenIds));
  const isOperator = new Map(sessions.map((row) => [row.id, row.is_operator]));
  const maySee = new Set(seen.map(({ id }) => id));
  return ({ sessionId, customerId, isOperator: was, impersonatedBy, impersonatedUntilMs = 0 }) =>
    impersonatedBy === undefined
      ? isOperator.get(sessionId) === was
      : isOperator.get(sessionId) === true && maySee.has(customerId) && now.getTime() < impersonatedUntilMs;
}

const findSeen = (database: Database, customerIds: readonly string[]) => database.sql<{ id: string }[]>`
  select id from customers where id = any(${[...customerIds]}) and deleted_at is null and not is_operator`;
