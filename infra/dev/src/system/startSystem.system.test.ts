import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Redis } from "ioredis";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { removeServerData } from "../servers/index.ts";
import { createFixtureCheckout } from "./fixtures/checkout.ts";
import type { ReadyInfo } from "./readyFile.ts";
import type { System } from "./startSystem.ts";
import { startSystem } from "./startSystem.ts";

let root: string;
beforeAll(async () => {
  root = await createFixtureCheckout();
});
afterAll(() => rm(root, { recursive: true }));

const newDir = (): Promise<string> => mkdtemp(path.join(tmpdir(), "tollgate-system-"));
const readReady = async (dir: string): Promise<ReadyInfo> =>
  JSON.parse(await readFile(path.join(dir, "ready.json"), "utf8"));
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const allPids = ({ pids }: ReadyInfo): number[] =>
  Object.values(pids).flatMap((pid) => (typeof pid === "number" ? [pid] : Object.values(pid)));
interface Answer {
  pid: number;
  version: number;
  env: Record<string, string>;
}
const ask = async (url: string): Promise<Answer> => (await fetch(url)).json() as Promise<Answer>;

describe("a system", () => {
  let dir: string;
  let system: System;
  const lines: string[] = [];
  beforeAll(async () => {
    dir = await newDir();
    system = await startSystem({
      dir,
      root,
      gateways: 2,
      ports: "ephemeral",
      log: (line) => lines.push(line),
      isReloading: true,
    });
  });
  afterAll(async () => {
    await system.stop();
    await removeServerData(dir);
  });

  test("says in ready.json where everything is, with the pids of the processes that really serve", async () => {
    const ready = await readReady(dir);
    expect(ready).toEqual(system.ready);
    expect(ready.gatewayUrls).toHaveLength(2);
    expect((await ask(ready.apiUrl)).pid).toBe(ready.pids.api);
    expect(await Promise.all(ready.gatewayUrls.map(async (url) => (await ask(url)).pid))).toEqual(ready.pids.gateways);
    expect((await ask(ready.exampleUrls["qr"] ?? "")).pid).toBe(ready.pids.examples["qr"]);
    for (const [name, pid] of Object.entries({
      postgres: ready.pids.postgres,
      nats: ready.pids.nats,
      etcd: ready.pids.etcd,
    })) {
      if (process.platform === "linux") expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).toContain(name);
    }
    expect((await fetch(`${ready.mailUrl}/messages`)).status).toBe(200);
    expect(allPids(ready)).toHaveLength(11);
  });

  test("tells its programs where the servers are, and gives every gateway a spool of its own", async () => {
    const [first, second] = await Promise.all(system.ready.gatewayUrls.map(ask));
    expect(first?.env).toMatchObject({ DATABASE_URL: system.ready.databaseUrl, PUBLIC_API_URL: system.ready.apiUrl });
    expect(first?.env["TOLLGATE_SECRET"]?.length).toBeGreaterThanOrEqual(32);
    expect(first?.env["GATEWAY_SPOOL_DIR"]).toBe(path.join(dir, "gateway-1", "spool"));
    expect(second?.env["GATEWAY_SPOOL_DIR"]).toBe(path.join(dir, "gateway-2", "spool"));
    const example = await ask(system.ready.exampleUrls["text"] ?? "");
    expect(`examples=${example.env["TOLLGATE_SERVICE_TOKEN"]}`).toBe(first?.env["SERVICE_TOKENS"]);
  });

  test("brings back a killed gateway on its port, and ready.json has its pid by the time it answers", async () => {
    const [url = ""] = system.ready.gatewayUrls;
    const [killed = 0] = system.ready.pids.gateways;
    process.kill(killed, "SIGKILL");
    const next = await vi.waitFor(
      async () => {
        const { pid } = await ask(url);
        expect(pid).not.toBe(killed);
        return pid;
      },
      { timeout: 20_000, interval: 5 },
    );
    expect((await readReady(dir)).pids.gateways[0]).toBe(next);
  });

  test("brings back killed servers with what they had acknowledged, and Redis empty", async () => {
    const { databaseUrl, redisUrl, pids } = system.ready;
    const sql = postgres(databaseUrl, { max: 1 });
    const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
    redis.on("error", () => undefined);
    try {
      await redis.set("kept", "no");
      await sql`create table kept (id int primary key)`;
      for (let id = 1; id <= 50; id++) await sql`insert into kept values (${id})`;
      for (const pid of [pids.postgres, pids.redis, pids.nats, pids.etcd]) process.kill(pid ?? 0, "SIGKILL");
      const count = await vi.waitFor(
        async () => {
          const [row] = await sql<{ count: number }[]>`select count(*)::int as count from kept`;
          return row?.count;
        },
        { timeout: 20_000, interval: 50 },
      );
      expect(count).toBe(50);
      expect(await redis.get("kept")).toBeNull();
      await vi.waitFor(
        async () => {
          expect((await fetch(`${system.ready.etcdUrl}/health`)).status).toBe(200);
        },
        { timeout: 20_000, interval: 50 },
      );
      await vi.waitFor(async () => expect(allPids(await readReady(dir)).filter(isAlive)).toHaveLength(11), {
        timeout: 20_000,
      });
      const { pids: after } = await readReady(dir);
      for (const name of ["postgres", "redis", "nats", "etcd"] as const) expect(after[name]).not.toBe(pids[name]);
      expect(
        lines.filter((line) => /was ended by SIGKILL; starting it again$/.test(line)).length,
      ).toBeGreaterThanOrEqual(4);
    } finally {
      redis.disconnect();
      await sql.end();
    }
  });

  test("runs changed source in the program it belongs to, and leaves the others alone", async () => {
    const before = system.ready.pids;
    const file = path.join(root, "apps/api/src/main.ts");
    await writeFile(file, (await readFile(file, "utf8")).replace("version: 1", "version: 2"));
    await vi.waitFor(async () => expect((await ask(system.ready.apiUrl)).version).toBe(2), {
      timeout: 20_000,
      interval: 50,
    });
    expect(system.ready.pids.gateways).toEqual(before.gateways);
    expect(system.ready.pids.workers).toBe(before.workers);
  });

  test("is not started twice in one directory", async () => {
    await expect(startSystem({ dir, root, ports: "ephemeral", log: () => undefined })).rejects.toThrow(/already runs/);
    expect((await readReady(dir)).pids.api).toBe(system.ready.pids.api);
  });
});

describe("a stopped system", () => {
  test("leaves no process and no ready.json, and keeps its data, its secret and its demo key for the next start", async () => {
    const dir = await newDir();
    const options = { dir, root, ports: "ephemeral", log: () => undefined } as const;
    const first = await startSystem(options);
    const sql = postgres(first.ready.databaseUrl, { max: 1 });
    await sql`create table kept (id int)`;
    await sql.end();
    const secret = (await ask(first.ready.apiUrl)).env["TOLLGATE_SECRET"];
    const pids = allPids(first.ready);
    await first.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    await expect(readReady(dir)).rejects.toMatchObject({ code: "ENOENT" });

    const second = await startSystem(options);
    const again = postgres(second.ready.databaseUrl, { max: 1 });
    expect(await again`select * from kept`).toEqual([]);
    await again.end();
    expect((await ask(second.ready.apiUrl)).env["TOLLGATE_SECRET"]).toBe(secret);
    expect(second.ready.demo.key).toBe(first.ready.demo.key);
    await second.stop();

    const third = await startSystem({ ...options, isFresh: true });
    const fresh = postgres(third.ready.databaseUrl, { max: 1 });
    await expect(fresh`select * from kept`).rejects.toMatchObject({ code: "42P01" });
    await fresh.end();
    await third.stop();
    await removeServerData(dir);
  });
});

test("a start that fails says why and leaves nothing running and nothing locked", async () => {
  const broken = await createFixtureCheckout();
  await writeFile(path.join(broken, "apps/api/src/seed.main.ts"), "throw new Error('no such tier');");
  const dir = await newDir();
  const options = { dir, root: broken, ports: "ephemeral", log: () => undefined } as const;
  await expect(startSystem(options)).rejects.toThrow(/seed failed:[\s\S]*no such tier/);
  // Were the directory still locked, the error would be another.
  await expect(startSystem(options)).rejects.toThrow(/seed failed/);
  await removeServerData(dir);
  await rm(broken, { recursive: true });
});

test("a start that is aborted gives up and cleans up", async () => {
  const dir = await newDir();
  const ending = new AbortController();
  const log = (line: string): void => {
    if (line.includes("migrated")) ending.abort("enough");
  };
  await expect(startSystem({ dir, root, ports: "ephemeral", log, signal: ending.signal })).rejects.toBe("enough");
  // A PostgreSQL that had been left running would keep its data directory from this one.
  const again = await startSystem({ dir, root, ports: "ephemeral", log: () => undefined });
  await again.stop();
  await removeServerData(dir);
});
