import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { testUrls } from "@tollgate/testing";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const APPS = ["api", "gateway", "workers"] as const;

const database = (): string => `tollgate_build_${testUrls().id}`;

let directory: string;
let databaseUrl: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "tollgate-build-"));
  const url = new URL(testUrls().databaseUrl);
  url.pathname = `/${database()}`;
  databaseUrl = url.href;
  await asAdmin((sql) => sql.unsafe(`create database ${database()}`));
  await Promise.all(
    APPS.map((app) =>
      run(process.execPath, [path.join(root, "infra/build.mjs")], { cwd: path.join(root, "apps", app) }),
    ),
  );
});
afterAll(async () => {
  for (const child of started) child.kill("SIGKILL");
  await asAdmin((sql) => sql.unsafe(`drop database if exists ${database()}`));
  await rm(directory, { recursive: true });
});

async function asAdmin(work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(testUrls().databaseUrl, { max: 1, fetch_types: false, onnotice: () => undefined });
  await work(sql);
  await sql.end();
}

/** What a process needs in production, and nothing of this one's environment but the way to its programs. */
function environment(): Record<string, string> {
  const { redisUrl, natsUrl, etcdUrl } = testUrls();
  const { PATH = "" } = process.env;
  return {
    PATH,
    NODE_ENV: "production",
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    NATS_URL: natsUrl,
    ETCD_URL: etcdUrl,
    TOLLGATE_SECRET: "a secret that only this test suite knows",
    PUBLIC_API_URL: "http://127.0.0.1:4000",
    PUBLIC_GATEWAY_URL: "http://127.0.0.1:4100",
    SMTP_URL: "smtp://127.0.0.1:1",
    MAIL_FROM: "Tollgate <no-reply@example.com>",
    QUEUE_PREFIX: "build-test",
    API_PORT: "0",
    GATEWAY_HOST: "127.0.0.1",
    GATEWAY_PORT: "0",
    GATEWAY_SPOOL_DIR: path.join(directory, "spool"),
    WORKERS_HOST: "127.0.0.1",
    WORKERS_PORT: "0",
  };
}

/** Starts a bundle with plain node; resolves with its address, which it logs when it listens. */
async function start(app: string): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const file = path.join(root, "apps", app, "dist/main.js");
  // Another directory: a bundle must not depend on where it is started.
  const child = spawn(process.execPath, [file], {
    cwd: directory,
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const { url, port } = JSON.parse(line) as { url?: string; port?: number };
    if (url !== undefined) return { child, url };
    if (port !== undefined) return { child, url: `http://127.0.0.1:${port}` };
  }
  throw new Error(`${app} ended before it listened`);
}

test("the bundled migration brings an empty database to the present schema, and again changes nothing", async () => {
  const file = path.join(root, "apps/api/dist/migrate.main.js");
  for (let time = 0; time < 2; time += 1) await run(process.execPath, [file], { cwd: directory, env: environment() });
  const sql = postgres(databaseUrl, { max: 1 });
  const [row] = await sql`select count(*)::int4 as tables from information_schema.tables where table_schema = 'public'`;
  await sql.end();
  expect(row?.["tables"]).toBeGreaterThan(20);
});

test.each(APPS)("the bundle of %s runs with plain node, answers, and leaves when it is told to", async (app) => {
  const { child, url } = await start(app);
  const health = await fetch(`${url}/healthz`);
  expect(health.status).toBe(200);
  await health.text();
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});
