import type { EtcdStore } from "@tollgate/config";
import { createEtcdStore } from "@tollgate/config";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { createLogger, newId, silentLogger, systemClock } from "@tollgate/kernel";
import { testUrls } from "@tollgate/testing";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import type { ProductConfig } from "../liveSettings.ts";
import { settingsFrom } from "../liveSettings.ts";
import type { ConfigContext } from "./index.ts";
import { getConfig, listConfigHistory, openConfig, recordSettings, rollbackConfig, setConfig } from "./index.ts";

let fixture: ServiceFixture;
const opened: (EtcdStore | ProductConfig)[] = [];

beforeAll(async () => {
  fixture = await createServiceFixture();
});

afterAll(async () => {
  for (const each of opened) each.close();
  await fixture.close();
});

const WAIT = { timeout: 5_000, interval: 10 };
const NOWHERE = "http://127.0.0.1:9";
const paging = { limit: 50 };

/** The settings of one process. Those of a namespace see each other's changes. */
async function openProcess(namespace: string, options: { url?: string; logger?: typeof silentLogger } = {}) {
  const logger = options.logger ?? silentLogger;
  const store = createEtcdStore({ url: options.url ?? testUrls().etcdUrl, clock: systemClock, logger, namespace });
  const { database } = fixture.as();
  const config = openConfig({
    store,
    database,
    clock: fixture.clock,
    logger,
    defaults: { signupPromoMicros: 7n as never },
  });
  opened.push(config, store);
  await config.waitUntilKnown(10_000);
  const as = (actor: Actor): ConfigContext => ({ ...fixture.as(actor), config });
  return { config, store, as };
}

const newNamespace = (): string => `/${newId("request")}`;

async function recordsOf(name: string) {
  const { db } = fixture.as();
  const changes = await db.select().from(schema.settingChanges).where(eq(schema.settingChanges.name, name));
  const audits = await db
    .select()
    .from(schema.auditLog)
    .where(eq(schema.auditLog.subject, `setting:${name}`));
  const events = await db.select().from(schema.outbox).where(eq(schema.outbox.name, "admin.settingChanged"));
  return {
    changes: changes.length,
    audits: audits.length,
    events: events.filter(({ payload }) => (payload as { setting?: unknown }).setting === name).length,
    lastAudit: audits.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime()).at(-1),
    actions: audits.map(({ action }) => action).toSorted(),
  };
}

describe("settings", () => {
  it("are the environment's until an operator sets them, and then the same in every process within a second", async () => {
    const namespace = newNamespace();
    const [here, there] = await Promise.all([openProcess(namespace), openProcess(namespace)]);
    const settings = settingsFrom(fixture.settings, there.config);
    expect(settings.signupPromoMicros).toBe(7n);
    const startedMs = performance.now();
    const input = { name: "signupPromoMicros", value: "5000000", expectedRevision: 0 };
    const change = await setConfig({ ctx: here.as(OPERATOR), input });
    expect(change).toMatchObject({ revision: 1, value: "5000000", changedBy: "customer:cus_operator00" });
    await vi.waitFor(() => expect(settings.signupPromoMicros).toBe(5_000_000n), WAIT);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(await getConfig({ ctx: there.as(OPERATOR), input: { name: "signupPromoMicros" } })).toMatchObject({
      source: "etcd",
      staleSince: null,
      items: [{ name: "signupPromoMicros", value: "5000000", default: "7", revision: 1 }],
    });
    expect(await recordsOf("signupPromoMicros")).toMatchObject({
      changes: 1,
      audits: 1,
      events: 1,
      lastAudit: {
        action: "admin.config.set",
        actor: "customer:cus_operator00",
        before: { value: "7" },
        after: { value: "5000000", revision: 1 },
      },
    });
  });

  it("are read and changed by operators alone", async () => {
    const { as } = await openProcess(newNamespace());
    const set = { name: "margin", value: 0.1 };
    for (const actor of [customerActor("cus_somebody00"), { kind: "service", service: "robot" } as const]) {
      const ctx = as(actor);
      await expect(getConfig({ ctx, input: {} })).rejects.toMatchObject({ code: "FORBIDDEN" });
      await expect(setConfig({ ctx, input: set })).rejects.toMatchObject({ code: "FORBIDDEN" });
      const history = listConfigHistory({ ctx, input: { name: "margin", ...paging } });
      await expect(history).rejects.toMatchObject({ code: "FORBIDDEN" });
      const rollback = rollbackConfig({ ctx, input: { name: "margin", revision: 0 } });
      await expect(rollback).rejects.toMatchObject({ code: "FORBIDDEN" });
    }
  });

  it("refuse what they cannot be, naming the field, and a change from a revision that is past", async () => {
    const { as } = await openProcess(newNamespace());
    const ctx = as(OPERATOR);
    await expect(setConfig({ ctx, input: { name: "margin", value: 2 } })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      issues: [{ path: "value" }],
    });
    await expect(setConfig({ ctx, input: { name: "constructor", value: 2 } })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    await setConfig({ ctx, input: { name: "margin", value: 0.2 } });
    await expect(setConfig({ ctx, input: { name: "margin", value: 0.3, expectedRevision: 0 } })).rejects.toMatchObject({
      code: "CONFLICT",
      reason: "setting_changed",
    });
    await expect(rollbackConfig({ ctx, input: { name: "margin", revision: 9 } })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  it("have a history in pages, and go back to any revision or to the default", async () => {
    const { as, config } = await openProcess(newNamespace());
    const ctx = as(OPERATOR);
    const name = "leaseSliceSeconds";
    for (const value of [5, 6, 7]) await setConfig({ ctx, input: { name, value } });
    expect(await rollbackConfig({ ctx, input: { name, revision: 1, expectedRevision: 3 } })).toMatchObject({
      revision: 4,
      value: 5,
      rolledBackTo: 1,
    });
    await rollbackConfig({ ctx, input: { name, revision: 0 } });
    expect(config.get(name)).toBe(3);
    const first = await listConfigHistory({ ctx, input: { name, limit: 3 } });
    expect(first.items.map(({ revision, value }) => [revision, value])).toEqual([
      [5, 3],
      [4, 5],
      [3, 7],
    ]);
    const rest = await listConfigHistory({ ctx, input: { name, limit: 3, cursor: first.nextCursor ?? "" } });
    expect(rest.items.map(({ revision }) => revision)).toEqual([2, 1]);
    expect(rest.nextCursor).toBeNull();
    const [set, rollback] = ["admin.config.set", "admin.config.rollback"];
    expect((await recordsOf(name)).actions).toEqual([rollback, rollback, set, set, set]);
  });

  it("are those that were recorded last in a process that starts without etcd, which says so", async () => {
    const before = await openProcess(newNamespace());
    await setConfig({ ctx: before.as(OPERATOR), input: { name: "lowBalanceMicros", value: "42" } });
    const { config, as } = await openProcess(newNamespace(), { url: NOWHERE });
    expect(settingsFrom(fixture.settings, config).lowBalanceMicros).toBe(42n);
    expect(await getConfig({ ctx: as(OPERATOR), input: {} })).toMatchObject({
      source: "recorded",
      staleSince: expect.any(Date),
    });
    const change = setConfig({ ctx: as(OPERATOR), input: { name: "lowBalanceMicros", value: "43" } });
    await expect(change).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "etcd_unavailable" });
    const history = await listConfigHistory({ ctx: as(OPERATOR), input: { name: "lowBalanceMicros", ...paging } });
    expect(history.items).toMatchObject([{ value: "42" }]);
  });

  it("decide no money while nothing is known of them", async () => {
    const store = createEtcdStore({ url: NOWHERE, clock: systemClock, logger: silentLogger });
    const { database } = fixture.as();
    const config = openConfig({ store, database, clock: systemClock, logger: silentLogger, defaults: {} });
    const settings = settingsFrom(fixture.settings, config);
    expect(() => settings.margin).toThrow(expect.objectContaining({ reason: "settings_unknown" }));
    config.close();
    store.close();
  });

  it("are recorded once by whoever looks after them, when the process that set them was killed before it could", async () => {
    const namespace = newNamespace();
    const { config } = await openProcess(namespace);
    // What setConfig does first, and no more.
    await config.set({ name: "meteringBatchCalls", value: 9, actor: "customer:cus_1", requestId: "req_1" });
    expect(await recordsOf("meteringBatchCalls")).toMatchObject({ changes: 0, audits: 0, events: 0 });
    const workers = await Promise.all([openProcess(namespace), openProcess(namespace)]);
    await Promise.all([...workers, ...workers].map(({ as }) => recordSettings({ ctx: as(SYSTEM) })));
    expect(await recordsOf("meteringBatchCalls")).toMatchObject({
      changes: 1,
      audits: 1,
      events: 1,
      lastAudit: { after: { value: 9, changedBy: "customer:cus_1", changedIn: "req_1" } },
    });
  });

  it("go back into an etcd that was emptied", async () => {
    const { as, config } = await openProcess(newNamespace());
    await setConfig({ ctx: as(OPERATOR), input: { name: "rateLimitBurstSeconds", value: 4 } });
    const emptied = await openProcess(newNamespace());
    await recordSettings({ ctx: emptied.as(SYSTEM) });
    await vi.waitFor(() => expect(emptied.config.get("rateLimitBurstSeconds")).toBe(4), WAIT);
    expect(emptied.config.list().find(({ name }) => name === "rateLimitBurstSeconds")).toEqual(
      config.list().find(({ name }) => name === "rateLimitBurstSeconds"),
    );
  });

  it("change what a process logs", async () => {
    const lines: string[] = [];
    const logger = createLogger({ name: "test", level: "info" }, { write: (line: string) => lines.push(line) });
    const { as } = await openProcess(newNamespace(), { logger });
    logger.debug("before");
    await setConfig({ ctx: as(OPERATOR), input: { name: "logLevel", value: "debug" } });
    logger.debug("after");
    expect(lines.filter((line) => line.includes('"msg":"after"'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('"msg":"before"'))).toHaveLength(0);
  });
});
