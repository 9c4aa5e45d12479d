import { execFile } from "node:child_process";
import { chown, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { spawnGuarded } from "../processes/index.ts";
import { choosePort } from "./ports.ts";
import type { PostgresBinaries, UserIds } from "./postgresBinaries.ts";
import { choosePostgresHome, findPostgresBinaries } from "./postgresBinaries.ts";
import type { PreparedServer, ServerPlace } from "./toolServers.ts";

const run = promisify(execFile);
const STABLE_PORT = 15_432;
const DATABASE = "tollgate";
const CONNECT_TIMEOUT_SECONDS = 2;

/**
 * An acknowledged commit survives a kill -9 of every process of the server (`synchronous_commit=on`: the log is handed to
 * the kernel before the answer; full pages guard against a page half written by a killed process). What is given up is
 * durability through a power loss, which development and tests do not need and pay for dearly.
 */
const SETTINGS = {
  fsync: "off",
  synchronous_commit: "on",
  full_page_writes: "on",
  max_connections: "200",
  max_wal_size: "2GB",
  checkpoint_timeout: "30min",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
};

export async function preparePostgres(place: ServerPlace): Promise<PreparedServer> {
  const { dir: home, user } = await choosePostgresHome(place.dataDir);
  const binaries = await findPostgresBinaries(user !== undefined);
  const data = path.join(home, "data");
  await initialise(binaries, home, data, user);
  const port = await choosePort(place.isStablePorts ? STABLE_PORT : undefined);
  const logFile = path.join(place.logDir, "postgres.log");
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return {
    url: `postgres://tollgate@127.0.0.1:${port}/${DATABASE}`,
    runnable: {
      name: "postgres",
      logFile,
      // Fast shutdown; SIGTERM would wait for the clients to leave.
      stopSignal: "SIGINT",
      stopGraceMs: 10_000,
      spawn: () =>
        spawnGuarded({
          file: binaries.postgres,
          args: ["-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", "", ...settings],
          // Another user may not be able to be where we are.
          cwd: "/",
          logFile,
          deathSignal: "SIGINT",
          ...(user ? { user } : {}),
        }),
      isReady: () => answers(port),
    },
  };
}

/** Removes what {@link preparePostgres} keeps for a data directory. */
export async function removePostgresData(dataDir: string): Promise<void> {
  const { dir } = await choosePostgresHome(dataDir);
  await rm(dir, { recursive: true, force: true });
}

async function initialise(
  binaries: PostgresBinaries,
  home: string,
  data: string,
  user: UserIds | undefined,
): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  if (user) await chown(home, user.uid, user.gid);
  const present = await readdir(home);
  if (present.includes(path.basename(data))) return refuseOtherVersion(binaries, data, user);
  // Made aside and renamed, so that an interrupted first start does not leave half a cluster behind.
  const fresh = path.join(home, `fresh-${process.pid}`);
  for (const leftover of present) await rm(path.join(home, leftover), { recursive: true, force: true });
  const args = [
    "-D",
    fresh,
    "-U",
    "tollgate",
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
  ];
  await run(binaries.initdb, args, { cwd: "/", ...user });
  await rename(fresh, data);
}

async function refuseOtherVersion(binaries: PostgresBinaries, data: string, user: UserIds | undefined): Promise<void> {
  const { stdout } = await run(binaries.postgres, ["--version"], { cwd: "/", ...user });
  const program = /(\d+)/.exec(stdout)?.[1];
  const cluster = (await readFile(path.join(data, "PG_VERSION"), "utf8")).trim();
  if (program !== cluster) {
    throw new Error(
      `${data} was made by PostgreSQL ${cluster} and this is ${program}: start once with --reset (its data goes)`,
    );
  }
}

/** Whether the server takes connections; the first time it does, its database is made. */
async function answers(port: number): Promise<boolean> {
  const sql = postgres({
    host: "127.0.0.1",
    port,
    user: "tollgate",
    database: "postgres",
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    fetch_types: false,
    onnotice: () => undefined,
  });
  try {
    const found = await sql`select 1 from pg_database where datname = ${DATABASE}`;
    if (found.length === 0) await sql.unsafe(`create database ${DATABASE}`);
    return true;
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 0 });
  }
}
