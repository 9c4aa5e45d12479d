import path from "node:path";
import type { Database } from "@tollgate/db";
import { createDatabase, migrateDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { choosePort, httpAnswers } from "@tollgate/dev/servers";
import { delay, randomBase62 } from "@tollgate/kernel";
import { moveToBackground } from "../processes/background.ts";
import { OTHER_CORE, SERVER_CORE } from "../processes/cores.ts";
import { BenchProcess } from "../processes/startProcess.ts";
import type { SeededProduct } from "./seedProduct.ts";
import { benchContext, seedProduct } from "./seedProduct.ts";

/** A gateway with everything it needs, as it would be deployed, on a database with something to sell. */
export interface RunningProduct extends SeededProduct {
  readonly gateway: BenchProcess;
  readonly gatewayPort: number;
  readonly database: Database;
  stop(): Promise<void>;
}

const READY_MS = 30_000;
const POLL_MS = 20;

/** Environment that every program of the product reads. */
export function productEnv(servers: RunningServers, masterSecret: string): Record<string, string> {
  return {
    LOG_LEVEL: "warn",
    DATABASE_URL: servers.databaseUrl,
    REDIS_URL: servers.redisUrl,
    NATS_URL: servers.natsUrl,
    ETCD_URL: servers.etcdUrl,
    TOLLGATE_SECRET: masterSecret,
    PUBLIC_API_URL: "http://127.0.0.1:4000",
    PUBLIC_GATEWAY_URL: "http://127.0.0.1:4100",
    SMTP_URL: "smtp://127.0.0.1:2525",
    MAIL_FROM: "Tollgate <no-reply@example.com>",
  };
}

/** Waits until a program's readiness probe says yes. @throws Error if it ends before, or takes too long */
export async function waitUntilAnswers(program: BenchProcess, url: string): Promise<void> {
  const deadline = Date.now() + READY_MS;
  while (!(await httpAnswers(url))) {
    if (program.running.exit !== undefined) throw new Error(`The program for ${url} has ended; see its log`);
    if (Date.now() > deadline) throw new Error(`${url} did not say yes within ${READY_MS} ms`);
    await delay(POLL_MS);
  }
}

export async function startProduct(options: {
  readonly servers: RunningServers;
  readonly upstreamUrl: string;
  readonly workDir: string;
  /** For a profile. */
  readonly gatewayNodeArgs?: readonly string[];
}): Promise<RunningProduct> {
  const { servers, workDir } = options;
  await migrateDatabase(servers.databaseUrl);
  const database = createDatabase({ url: servers.databaseUrl, applicationName: "bench", connectionsMax: 2 });
  const masterSecret = randomBase62(48);
  const seeded = await seedProduct(benchContext(database, masterSecret), options.upstreamUrl);
  const env = productEnv(servers, masterSecret);
  const gatewayPort = await choosePort();
  const workersPort = await choosePort();
  const workers = new BenchProcess({
    name: "workers",
    program: "workers",
    core: OTHER_CORE,
    logDir: workDir,
    env: { ...env, WORKERS_HOST: "127.0.0.1", WORKERS_PORT: `${workersPort}` },
  });
  const gateway = new BenchProcess({
    name: "gateway",
    program: "gateway",
    core: SERVER_CORE,
    logDir: workDir,
    nodeArgs: options.gatewayNodeArgs ?? [],
    env: {
      ...env,
      GATEWAY_HOST: "127.0.0.1",
      GATEWAY_PORT: `${gatewayPort}`,
      GATEWAY_SPOOL_DIR: path.join(workDir, "spool"),
    },
  });
  await Promise.all([
    waitUntilAnswers(workers, `http://127.0.0.1:${workersPort}/readyz`),
    waitUntilAnswers(gateway, `http://127.0.0.1:${gatewayPort}/readyz`),
  ]);
  // What is folded can wait for the calls; that it is not left behind is seen when the calls are counted.
  const { postgres } = servers.pids;
  moveToBackground(postgres === undefined ? [workers.pid] : [workers.pid, postgres]);
  return {
    ...seeded,
    gateway,
    gatewayPort,
    database,
    stop: async () => {
      await gateway.stop();
      await workers.stop();
      await database.close();
    },
  };
}
