import { connect } from "node:net";
import type { Database } from "@tollgate/db";
import { findPendingMigrations } from "@tollgate/db";

/** What this process needs, and whether it is there now. */
export interface DependencyStatus {
  readonly isUp: boolean;
  /** Why not, in words for an operator. */
  readonly problem?: string;
}

export interface Dependencies {
  readonly database: Database;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly etcdUrl: string;
}

const PROBE_TIMEOUT_MS = 1_000;

/**
 * Asks each dependency whether it is there. Without the database nothing works. The others are worked around: the outbox
 * keeps what Redis and NATS cannot take, and configuration watched from etcd stays as it was.
 */
export async function probeDependencies(
  dependencies: Dependencies,
): Promise<{ readonly isReady: boolean; readonly dependencies: Readonly<Record<string, DependencyStatus>> }> {
  const [database, redis, nats, etcd] = await Promise.all([
    probe(() => probeDatabase(dependencies.database)),
    probe(() => probeAddress(dependencies.redisUrl, 6379)),
    probe(() => probeAddress(dependencies.natsUrl, 4222)),
    probe(() => probeAddress(dependencies.etcdUrl, 2379)),
  ]);
  return { isReady: database.isUp, dependencies: { database, redis, nats, etcd } };
}

async function probe(ask: () => Promise<void>): Promise<DependencyStatus> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${PROBE_TIMEOUT_MS} ms`)), PROBE_TIMEOUT_MS);
  });
  try {
    await Promise.race([ask(), tooLate]);
    return { isUp: true };
  } catch (error) {
    return { isUp: false, problem: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

async function probeDatabase(database: Database): Promise<void> {
  const pending = await findPendingMigrations(database);
  if (pending.length > 0) throw new Error(`Migrations are missing: ${pending.join(", ")}`);
}

/** Whether something listens at the first address of a URL or a comma-separated list of them. */
function probeAddress(urls: string, defaultPort: number): Promise<void> {
  const first = urls.split(",")[0]?.trim() ?? "";
  const { hostname, port } = new URL(first.includes("://") ? first : `tcp://${first}`);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: port === "" ? defaultPort : Number(port) });
    socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy(new Error("No answer")));
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
