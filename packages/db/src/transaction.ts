import type { Context, TollgateError } from "@tollgate/kernel";
import { unavailable } from "@tollgate/kernel";
import { keepTrace, SpanKind, withStep } from "@tollgate/telemetry";
import { drizzle } from "drizzle-orm/postgres-js";
import type { Database, Db, Sql, SqlTransaction } from "./database.ts";
import { isConnectionFailure, isSerializationConflict } from "./errorCodes.ts";
import { prepareStatements } from "./prepareStatements.ts";
import { ATTEMPTS_MAX, pauseAfter, retryWhen } from "./retryWhen.ts";

/**
 * Transactions: SERIALIZABLE, retried when they lose against another one or when the connection breaks, and never
 * retried once COMMIT was sent and no answer came, unless the work is idempotent by key. The function may run several
 * times, so it has no effect outside the transaction.
 */
export interface DbContext extends Context {
  readonly database: Database;
  /** The pool, or the transaction that this context is inside of. */
  readonly db: Db;
  readonly isInTransaction: boolean;
}

export interface TransactionOptions {
  /** Doing the work twice has the effect of doing it once, so it is repeated after a COMMIT without an answer. */
  readonly isIdempotent?: boolean;
  readonly attemptsMax?: number;
  /**
   * READ COMMITTED instead of SERIALIZABLE: only for a transaction that locks every row it decides on, in the order that
   * all others do (docs/decisions/0017-leases-and-the-fold-lock-their-rows.md).
   */
  readonly isLockingItsRows?: boolean;
}

/** Runs `fn` in a transaction, or in the one that `ctx` is already inside of. @throws TollgateError `commit_unknown`, `database_unavailable` */
export async function withTransaction<Ctx extends DbContext, Result>(
  ctx: Ctx,
  fn: (ctx: Ctx) => Promise<Result>,
  options: TransactionOptions = {},
): Promise<Result> {
  if (ctx.isInTransaction) return fn(ctx);
  return retryTransaction(
    ctx.database.drizzleClient,
    (sql) => fn({ ...ctx, db: drizzle({ client: sql as unknown as Sql }), isInTransaction: true }),
    options,
  );
}

/** The same for the driver's tagged template, where a statement is COPY or the path is hot. */
export async function withSqlTransaction<Result>(
  database: Database,
  fn: (sql: SqlTransaction) => Promise<Result>,
  options: TransactionOptions = {},
): Promise<Result> {
  return retryTransaction(database.sql, fn, options);
}

/** Runs a read again when it lost against a write or its connection broke. A read has no effect, so it may always run again. */
export async function retryRead<Result>(read: () => Promise<Result>, attemptsMax = ATTEMPTS_MAX): Promise<Result> {
  const mayRepeat = (error: unknown): boolean => isSerializationConflict(error) || isConnectionFailure(error);
  try {
    return await retryWhen(mayRepeat, read, attemptsMax);
  } catch (error) {
    throw isConnectionFailure(error) ? databaseUnavailable(error) : error;
  }
}

async function retryTransaction<Result>(
  client: Sql,
  fn: (sql: SqlTransaction) => Promise<Result>,
  options: TransactionOptions,
): Promise<Result> {
  const isolation = `isolation level ${options.isLockingItsRows === true ? "read committed" : "serializable"}`;
  const attemptsMax = options.attemptsMax ?? ATTEMPTS_MAX;
  for (let attempt = 1; ; attempt += 1) {
    const state = { isCommitting: false };
    try {
      return await withStep("transaction", { kind: SpanKind.INTERNAL, attributes: { attempt } }, () =>
        runOnce(client, isolation, keepTrace(fn), state),
      );
    } catch (error) {
      const isConflict = isSerializationConflict(error);
      const isBroken = isConnectionFailure(error);
      if (isBroken && state.isCommitting && options.isIdempotent !== true) throw commitUnknown(error);
      if (!isConflict && !isBroken) throw error;
      if (attempt >= attemptsMax) throw isBroken ? databaseUnavailable(error) : conflictPersists(error);
      await pauseAfter(attempt);
    }
  }
}

/**
 * One attempt. The driver has a trap: when the connection breaks inside a transaction it goes on to send that
 * transaction's next statement (its own ROLLBACK included) to a socket that is no more, which ends the process. So the
 * handle given to `fn` refuses statements once the connection is gone, and the outcome of `fn` is then kept from the
 * driver, which has already reported the loss.
 */
function runOnce<Result>(
  client: Sql,
  isolation: string,
  fn: (sql: SqlTransaction) => Promise<Result>,
  state: { isCommitting: boolean },
): Promise<Result> {
  const connection = { isLost: false };
  return new Promise<Result>((resolve, reject) => {
    const loseConnection = (error: unknown): void => {
      connection.isLost = true;
      reject(error);
    };
    const body = (sql: SqlTransaction): Promise<Result> =>
      new Promise((commit, rollback) => {
        fn(guard(sql, connection, client.options)).then(
          (result) => {
            if (connection.isLost) return;
            state.isCommitting = true;
            commit(result);
          },
          // A broken connection is reported to the statement first and to the transaction a moment later.
          (error: unknown) => {
            setImmediate(() => {
              if (isLostConnection(error)) loseConnection(error);
              else if (!connection.isLost) rollback(error);
            });
          },
        );
      });
    client.begin(isolation, body).then((result) => resolve(result as Result), loseConnection);
  });
}

/** The connection itself is gone, as opposed to a server that answered with an error and is still there. */
function isLostConnection(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    const code = (current as { code?: unknown }).code;
    if (typeof code === "string" && /^(CONNECTION_|ECONN|EPIPE)/.test(code)) return true;
  }
  return false;
}

function guard(sql: SqlTransaction, connection: { isLost: boolean }, clientOptions: Sql["options"]): SqlTransaction {
  const refuseWhenLost = (): void => {
    if (connection.isLost) {
      throw Object.assign(new Error("The connection of this transaction is gone"), { code: "CONNECTION_CLOSED" });
    }
  };
  return new Proxy(sql, {
    apply(target, self, args) {
      refuseWhenLost();
      return Reflect.apply(target, self, args);
    },
    get(target, property) {
      // Drizzle wants the options of a pool, which a transaction's handle does not carry.
      if (property === "options") return clientOptions;
      if (property !== "unsafe") return Reflect.get(target, property);
      refuseWhenLost();
      return prepareStatements(target);
    },
  });
}

function commitUnknown(cause: unknown): TollgateError {
  return unavailable("The connection broke while the change was being committed: look before you try again", {
    reason: "commit_unknown",
    cause,
  });
}

function databaseUnavailable(cause: unknown): TollgateError {
  return unavailable("The database cannot be reached at the moment", { reason: "database_unavailable", cause });
}

function conflictPersists(cause: unknown): TollgateError {
  return unavailable("Too many changes to the same record at once: try again", { reason: "write_conflict", cause });
}
