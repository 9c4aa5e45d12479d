import { chmod, mkdtemp, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunningServers } from "./startServers.ts";
import { removeServerData, startServers } from "./startServers.ts";

let dataDir: string;
const log = (): void => undefined;

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), "tollgate-servers-"));
  await chmod(dataDir, 0o755);
});
afterEach(() => removeServerData(dataDir));

/** Writes row after row while the server is killed, and returns how many it acknowledged. */
async function insertUntilKilled(servers: RunningServers): Promise<number> {
  const sql = postgres(servers.databaseUrl, { max: 1, backoff: false });
  await sql`create table acknowledged (id int primary key)`;
  let last = 0;
  let killed: Promise<void> | undefined;
  try {
    for (;;) {
      await sql`insert into acknowledged values (${last + 1})`;
      last += 1;
      if (last === 200) killed = servers.server("postgres").kill();
    }
  } catch {
    // The kill cut the connection; what was acknowledged until then is what counts.
    await killed;
    return last;
  } finally {
    await sql.end({ timeout: 0 });
  }
}

test("PostgreSQL killed with -9 comes back at once, ten times over, with every acknowledged commit", async () => {
  const servers = await startServers({ dataDir, ports: "ephemeral", keepData: false, log, only: ["postgres"] });
  try {
    const url = servers.databaseUrl;
    const acknowledged = await insertUntilKilled(servers);
    expect(acknowledged).toBeGreaterThanOrEqual(200);
    for (let round = 0; round < 10; round++) {
      await servers.server("postgres").start();
      expect(servers.databaseUrl).toBe(url);
      const sql = postgres(url, { max: 1 });
      const [row] = await sql<{ count: number }[]>`select count(*)::int as count from acknowledged`;
      expect(row?.count).toBeGreaterThanOrEqual(acknowledged);
      // A client is left connected, so that a backend outlives the postmaster for a moment.
      await servers.server("postgres").kill();
      await sql.end({ timeout: 0 });
    }
  } finally {
    await servers.stop();
  }
});

test("Redis comes back on its port and empty", async () => {
  const servers = await startServers({ dataDir, ports: "ephemeral", keepData: false, log, only: ["redis"] });
  const redis = new Redis(servers.redisUrl, { maxRetriesPerRequest: null });
  redis.on("error", () => undefined);
  try {
    await redis.set("key", "value");
    await servers.server("redis").kill();
    await servers.server("redis").start();
    expect(await redis.get("key")).toBeNull();
    expect(await redis.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
  } finally {
    redis.disconnect();
    await servers.stop();
  }
});

test("a server that runs already is used as it is, and one that was not asked for is not there", async () => {
  const servers = await startServers({
    dataDir,
    ports: "ephemeral",
    keepData: false,
    log,
    only: ["redis", "nats"],
    urls: { redis: "redis://elsewhere:1" },
  });
  try {
    expect(servers.redisUrl).toBe("redis://elsewhere:1");
    expect(Object.keys(servers.pids)).toEqual(["nats"]);
    expect(() => servers.server("redis")).toThrow("redis was not started here");
    expect(() => servers.databaseUrl).toThrow("postgres was not asked for");
  } finally {
    await servers.stop();
  }
});

test("servers whose data is not kept leave no files, and those whose data is kept have it again", async () => {
  const options = { dataDir, ports: "ephemeral", log, only: ["postgres"] } as const;
  const first = await startServers({ ...options, keepData: true });
  const sql = postgres(first.databaseUrl, { max: 1 });
  await sql`create table kept (id int)`;
  await sql.end();
  await first.stop();
  const second = await startServers({ ...options, keepData: false });
  const again = postgres(second.databaseUrl, { max: 1 });
  expect(await again`select * from kept`).toEqual([]);
  await again.end();
  await second.stop();
  await expect(stat(dataDir)).rejects.toMatchObject({ code: "ENOENT" });
});

describe("PostgreSQL", () => {
  test("starts where other users may not go", async () => {
    await chmod(dataDir, 0o700);
    const servers = await startServers({ dataDir, ports: "ephemeral", keepData: false, log, only: ["postgres"] });
    const sql = postgres(servers.databaseUrl, { max: 1 });
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    await sql.end();
    await servers.stop();
  });

  test("refuses the data of another version with the way out", async () => {
    const options = { dataDir, ports: "ephemeral", keepData: true, log, only: ["postgres"] } as const;
    await (await startServers(options)).stop();
    await writeFile(path.join(dataDir, "postgres/data/PG_VERSION"), "12\n");
    await expect(startServers(options)).rejects.toThrow(/was made by PostgreSQL 12 .* --reset/);
  });
});
