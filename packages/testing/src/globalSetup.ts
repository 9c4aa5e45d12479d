import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startServers } from "@tollgate/dev/servers";
import { randomBase62 } from "@tollgate/kernel";
import type { TestProject } from "vitest/node";
import { assertPortable, logStatements } from "./statementLog.ts";
import { dropRunDatabases } from "./testDatabase.ts";
import type { TestRun } from "./testRun.ts";

const DATA_PREFIX = "tollgate-test-";

/**
 * Starts real servers once for all test files of a run, on ports of their own and on throw-away data, and stops them at
 * its end. Then every statement that the product executed is held to what CockroachDB has as well. Servers named by
 * TEST_DATABASE_URL, TEST_REDIS_URL, TEST_NATS_URL or TEST_ETCD_URL are used as they are.
 */
export default async function globalSetup(project: TestProject): Promise<() => Promise<void>> {
  const { TEST_DATABASE_URL, TEST_REDIS_URL, TEST_NATS_URL, TEST_ETCD_URL } = process.env;
  await removeLeftovers();
  const dataDir = await mkdtemp(path.join(tmpdir(), `${DATA_PREFIX}${process.pid}-`));
  // PostgreSQL may have to run as another user, who must be able to reach its data.
  await chmod(dataDir, 0o755);
  const servers = await startServers({
    dataDir,
    ports: "ephemeral",
    keepData: false,
    log: (line) => process.stderr.write(`${line}\n`),
    urls: { postgres: TEST_DATABASE_URL, redis: TEST_REDIS_URL, nats: TEST_NATS_URL, etcd: TEST_ETCD_URL },
  });
  const { databaseUrl, redisUrl, natsUrl, etcdUrl } = servers;
  const run: TestRun = { id: randomBase62(8).toLowerCase(), databaseUrl, redisUrl, natsUrl, etcdUrl };
  project.provide("run", run);
  const isOurDatabase = TEST_DATABASE_URL === undefined;
  if (isOurDatabase) await logStatements(databaseUrl);
  return async () => {
    try {
      // A database of somebody else's is judged by itself: on CockroachDB the statements run or they do not.
      if (isOurDatabase) await assertPortable(path.join(dataDir, "logs", "postgres.log"));
      else await dropRunDatabases(run);
    } catch (error) {
      // Vitest prints what goes wrong in a teardown, and by itself does not fail the run for it.
      process.exitCode = 1;
      throw error;
    } finally {
      await servers.stop();
    }
  };
}

/** Removes the data of runs that were killed before they could; the name says which process a directory belongs to. */
async function removeLeftovers(): Promise<void> {
  for (const entry of await readdir(tmpdir())) {
    const pid = entry.startsWith(DATA_PREFIX) ? Number.parseInt(entry.slice(DATA_PREFIX.length), 10) : Number.NaN;
    if (!Number.isNaN(pid) && !isAlive(pid)) await rm(path.join(tmpdir(), entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
