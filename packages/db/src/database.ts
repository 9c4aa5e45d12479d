import type { Socket } from "node:net";
import { connect } from "node:net";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { ARRAY_TYPES } from "./arrayTypes.ts";
import { retryConflicts } from "./retryConflicts.ts";

/** Drizzle over one connection pool, or over one transaction. */
export type Db = PostgresJsDatabase<Record<string, never>>;
/** The driver's own tagged template; for COPY and set-based statements. */
export type Sql = postgres.Sql;
export type SqlTransaction = postgres.TransactionSql;

/** A connection that was lost inside a transaction never reports itself idle to the driver, so closing must not wait long. */
const CLOSE_TIMEOUT_SECONDS = 1;

/** The server ends a statement before that, so a connection that has been silent for so long is idle, or dead. */
const STATEMENT_TIMEOUT_MS = 60_000;
const SILENCE_MS_MAX = 90_000;

export interface DatabaseOptions {
  readonly url: string;
  /** Connections of the pool. */
  readonly connectionsMax?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /**
   * A connection over which nothing has come or gone for so long is closed, in milliseconds: a host that has vanished
   * says nothing, and the system would believe in it for a quarter of an hour. Not over TLS, where the driver has the socket.
   */
  readonly silenceMsMax?: number;
}

/** The database as one process sees it. */
export interface Database {
  readonly db: Db;
  /** A pool of its own: drizzle changes the parsers of the client it is given, and raw SQL wants the driver's. */
  readonly sql: Sql;
  /** The client that `db` runs on; only `withTransaction` needs it. */
  readonly drizzleClient: Sql;
  close(): Promise<void>;
}

/**
 * Opens the pools lazily. Every transaction is SERIALIZABLE, and so is a statement of drizzle by itself, which runs again
 * when it loses. A raw statement by itself sees one snapshot whatever it is called, and SERIALIZABLE it could be cancelled
 * without anybody repeating it. Sockets send without Nagle's delay, which makes COPY several times faster.
 */
export function createDatabase(options: DatabaseOptions): Database {
  const url = new URL(options.url);
  const host = url.hostname;
  const port = url.port === "" ? 5432 : Number(url.port);
  const usesTls = ["require", "verify-ca", "verify-full", "prefer"].includes(url.searchParams.get("sslmode") ?? "");
  const open = (isolation: "serializable" | "read committed"): Sql =>
    postgres(options.url, {
      max: options.connectionsMax ?? 10,
      fetch_types: false,
      types: ARRAY_TYPES,
      connect_timeout: 5,
      backoff: (retries) => Math.min(0.05 * 2 ** retries, 1),
      connection: {
        application_name: options.applicationName,
        default_transaction_isolation: isolation,
        TimeZone: "UTC",
        statement_timeout: STATEMENT_TIMEOUT_MS,
      },
      onnotice: () => undefined,
      // Given before it is connected: the driver hears of a failure from the socket alone. Had it to wait for a promise that
      // fails, it would count the connection as being made for ever, and an outage would use its pool up.
      ...(usesTls ? {} : { socket: () => openSocket(host, port, options.silenceMsMax ?? SILENCE_MS_MAX) }),
    });
  const drizzleClient = open("serializable");
  const sql = open("read committed");
  return {
    db: drizzle({ client: retryConflicts(drizzleClient) }),
    sql,
    drizzleClient,
    close: async () => {
      await Promise.all([
        drizzleClient.end({ timeout: CLOSE_TIMEOUT_SECONDS }),
        sql.end({ timeout: CLOSE_TIMEOUT_SECONDS }),
      ]);
    },
  };
}

function openSocket(host: string, port: number, silenceMsMax: number): Socket {
  const socket = connect({ host, port, noDelay: true });
  socket.setTimeout(silenceMsMax, () => socket.destroy());
  return socket;
}
