import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { EtcdStore } from "@tollgate/config";
import { createEtcdStore } from "@tollgate/config";
import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { startServers } from "@tollgate/dev/servers";
import { silentLogger, systemClock } from "@tollgate/kernel";
import type { ConfigContext } from "@tollgate/services/admin";
import { openConfig } from "@tollgate/services/admin";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase } from "@tollgate/testing";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { keepSettingsRecorded } from "./keepSettingsRecorded.ts";

/** On an etcd of its own, whose data is really lost: a new one counts its revisions from 1. */
const WAIT = { timeout: 15_000, interval: 10 };
const BY = { actor: "customer:cus_1", requestId: "req_1" };

type ProductConfig = ConfigContext["config"];

let dataDir: string;
let servers: RunningServers;
let testDatabase: TestDatabase;
let database: Database;
let closers: (() => void | Promise<void>)[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "settings", connectionsMax: 4 });
  dataDir = await mkdtemp(path.join(tmpdir(), "tollgate-settings-"));
  servers = await startServers({ dataDir, only: ["etcd"], ports: "ephemeral", keepData: false, log: () => undefined });
});
beforeEach(async () => {
  await database.sql`delete from setting_changes`;
  await loseData();
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});
afterAll(async () => {
  await servers.stop();
  await database.close();
  await testDatabase.drop();
});

/** etcd dies, and comes back on the same address with an empty disk. */
async function loseData(meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
  const etcd = servers.server("etcd");
  await etcd.kill();
  await meanwhile();
  await rm(path.join(dataDir, "etcd", "member"), { recursive: true });
  await etcd.start();
}

/** The settings of one process. */
async function openProcess(): Promise<{ config: ProductConfig; store: EtcdStore; ctx: ConfigContext }> {
  const parts = { clock: systemClock, logger: silentLogger };
  const store = createEtcdStore({ url: servers.etcdUrl, ...parts });
  const config = openConfig({ store, database, ...parts, defaults: {} });
  closers.push(
    () => store.close(),
    () => config.close(),
  );
  await vi.waitFor(() => expect(config.status()).toMatchObject({ source: "etcd", isHealthy: true }), WAIT);
  const ctx = { ...parts, actor: { kind: "system", task: "test" }, requestId: "req_1", ip: null, userAgent: null };
  const scope = { database, db: database.db, isInTransaction: false, settings: {}, config };
  return { config, store, ctx: { ...ctx, ...scope } as unknown as ConfigContext };
}

const areAt = (configs: readonly ProductConfig[], margin: number): Promise<unknown> =>
  vi.waitFor(() => expect(configs.map((config) => config.get("margin"))).toEqual(configs.map(() => margin)), WAIT);

test("settings can be changed everywhere after etcd lost its data, by processes that knew them before", async () => {
  const [here, there] = await Promise.all([openProcess(), openProcess()]);
  const configs = [here.config, there.config];
  for (let round = 0; round < 30; round += 1) await here.store.put("/elsewhere", `${round}`);
  await here.config.set({ ...BY, name: "margin", value: 0.2 });
  await areAt(configs, 0.2);
  await loseData(async () => {
    const isHealthy = () => configs.map((config) => config.status().isHealthy);
    await vi.waitFor(() => expect(isHealthy()).toEqual([false, false]), WAIT);
  });
  await vi.waitFor(() => expect(configs.every((config) => config.status().isHealthy)).toBe(true), WAIT);
  await areAt(configs, 0.2);
  await here.config.set({ ...BY, name: "margin", value: 0.3 });
  expect(here.config.get("margin")).toBe(0.3);
  await areAt(configs, 0.3);
  await there.config.set({ ...BY, name: "margin", value: 0.4 });
  expect(there.config.get("margin")).toBe(0.4);
  await areAt(configs, 0.4);
});

test("an etcd that lost its data is given back the last value of every setting, however long ago it was set", async () => {
  await record("margin", 1, "0.2", "2026-01-01T00:00:00Z");
  await database.sql`
    insert into setting_changes (id, name, revision, value, actor, request_id, changed_at)
    select 'chg_' || n, 'leaseSliceSeconds', n, (n % 50 + 1)::text, 'a', 'r', '2026-02-01T00:00:00Z'::timestamptz + n * interval '1 minute'
    from generate_series(1, 1100) as n`;
  const worker = await openProcess();
  closers.push(keepSettingsRecorded(worker.ctx));
  await areAt([worker.config], 0.2);
  await vi.waitFor(() => expect(worker.config.get("leaseSliceSeconds")).toBe(1), WAIT);
  const fresh = await openProcess();
  const view = (name: string) => fresh.config.list().find((setting) => setting.name === name);
  expect(view("margin")).toMatchObject({ value: 0.2, revision: 1 });
  expect(view("leaseSliceSeconds")).toMatchObject({ value: 1, revision: 1_100 });
});

test("a change that reaches an emptied etcd before the records do keeps no other setting from coming back", async () => {
  await record("margin", 1, "0.2", "2026-01-01T00:00:00Z");
  await record("maintenance", 7, "false", "2026-01-02T00:00:00Z");
  const worker = await openProcess();
  await worker.config.set({ ...BY, name: "maintenance", value: true });
  closers.push(keepSettingsRecorded(worker.ctx));
  await areAt([worker.config], 0.2);
  const fresh = await openProcess();
  expect([fresh.config.get("margin"), fresh.config.get("maintenance")]).toEqual([0.2, true]);
});

async function record(name: string, revision: number, value: string, at: string): Promise<void> {
  await database.sql`
    insert into setting_changes (id, name, revision, value, actor, request_id, changed_at)
    values (${`chg_${name}_${revision}`}, ${name}, ${revision}, ${value}, 'a', 'r', ${new Date(at)})`;
}
