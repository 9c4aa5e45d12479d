import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Stranger } from "./stranger.ts";
import { addCredit, allowHighRates, callGateway, callRest, eventually, signUp } from "./stranger.ts";

/**
 * What an operator changes acts on every gateway within a second: prices, the state of an API, settings. Measured from the
 * moment at which the control plane has answered, to the last call that a gateway still decided the old way.
 */
const GATEWAYS = 3;
const ROUNDS = 8;
const CHANGED_MS_MAX = 1_000;
const run = promisify(execFile);

let system: System;
let dir: string;
let stranger: Stranger;
let operator: string;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-changes-"));
  system = await startSystem({ dir, gateways: GATEWAYS, ports: "ephemeral", log: () => undefined });
  stranger = await signUp(system.ready, "changes");
  await addCredit(system.ready, stranger.billingAccountId, 1_000_000_000_000n);
  await allowHighRates(system.ready, stranger.billingAccountId);
  operator = String((await callRest(system.ready.apiUrl, "customers/login", { ...system.ready.admin }))["accessToken"]);
});

afterAll(async () => {
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

const operate = (procedure: string, input: Record<string, unknown>): Promise<Record<string, unknown>> =>
  callRest(system.ready.apiUrl, procedure, input, operator);

const callQr = (gateway: string) => callGateway(`${gateway}/v1/qr/generate?text=changes`, stranger.key);

/** Calls each gateway without a pause until it decides the new way. @returns how long that took each, in milliseconds */
async function untilChanged(isChanged: (gateway: string) => Promise<boolean>): Promise<number[]> {
  const startedAt = performance.now();
  return Promise.all(
    system.ready.gatewayUrls.map(async (gateway) => {
      let oldAt = startedAt;
      for (let calledAt = performance.now(); !(await isChanged(gateway)); calledAt = performance.now()) {
        oldAt = calledAt;
        if (calledAt - startedAt > 20_000) throw new Error(`${gateway} does not notice the change`);
      }
      return oldAt - startedAt;
    }),
  );
}

describe("the data of a tenant", () => {
  it("is deleted by every running example when an operator asks, each once it has seen whose order it is", async () => {
    const { projectId } = stranger;
    const { items } = await operate("admin/deleteTenantData", { projectId });
    const names = Object.keys(system.ready.exampleUrls).sort();
    expect((items as { api: string }[]).map(({ api }) => api).sort()).toEqual(names);
    await eventually("an answer of each", async () => {
      const list = await operate("admin/listDataDeletions", { projectId, status: "done" });
      return (list["items"] as unknown[]).length === names.length;
    });
    for (const url of Object.values(system.ready.exampleUrls)) {
      expect((await fetch(`${url}/delete-data`, { method: "POST" })).status).toBe(401);
    }
  });
});

describe("every gateway decides by a change within a second of the answer", () => {
  it(`when a price changes, ${ROUNDS} times in a row`, async () => {
    const worst: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const priceMicros = 1_000 + round;
      await operate("catalog/update", { name: "qr", endpoints: [{ name: "generate", priceMicros: `${priceMicros}` }] });
      worst.push(...(await untilChanged(async (gateway) => (await callQr(gateway)).priceMicros === priceMicros)));
    }
    console.info(`a price reaches ${GATEWAYS} gateways in ${Math.max(...worst).toFixed(0)} ms at worst`);
    expect(Math.max(...worst)).toBeLessThan(CHANGED_MS_MAX);
  });

  it("when an endpoint's free quota changes: what was none is free, what is used up is charged, and is free again", async () => {
    const priceMicros = 1_500;
    const change = (endpoint: Record<string, unknown>) =>
      operate("catalog/update", { name: "qr", endpoints: [{ name: "generate", ...endpoint }] });
    const untilPriced = (price: number) =>
      untilChanged(async (gateway) => {
        const { status, priceMicros: charged } = await callQr(gateway);
        return status === 200 && charged === price;
      });
    await change({ priceMicros: `${priceMicros}`, freePerMonth: 0 });
    await untilPriced(priceMicros);
    const worst: number[] = [];
    // One is fewer than were made: that quota is used up when it begins.
    for (const few of [0, 1, 1, 0]) {
      await change({ freePerMonth: 1_000_000 });
      worst.push(...(await untilPriced(0)));
      await change({ freePerMonth: few });
      worst.push(...(await untilPriced(priceMicros)));
    }
    console.info(`a free quota reaches ${GATEWAYS} gateways in ${Math.max(...worst).toFixed(0)} ms at worst`);
    expect(Math.max(...worst)).toBeLessThan(CHANGED_MS_MAX);
  });

  it("when an API is deprecated, removed and published again", async () => {
    const { openapi, endpoints, ...api } = await operate("catalog/get", { name: "qr" });
    const [endpoint] = endpoints as Record<string, unknown>[];
    const target = (gateway: string) => `${gateway}/v1/qr/${endpoint?.["name"]}?text=changes`;
    const headersOf = async (gateway: string) =>
      (await fetch(target(gateway), { headers: { authorization: `Bearer ${stranger.key}` } })).headers;
    const sunsetAt = "2099-01-31T00:00:00.000Z";
    await operate("catalog/deprecate", { name: "qr", sunsetAt });
    const deprecated = await untilChanged(async (gateway) => {
      const headers = await headersOf(gateway);
      return (
        headers.get("sunset") === new Date(sunsetAt).toUTCString() && /^@\d+$/.test(headers.get("deprecation") ?? "")
      );
    });
    await operate("catalog/remove", { name: "qr" });
    const removed = await untilChanged(async (gateway) => {
      const { status, code } = await callGateway(target(gateway), stranger.key);
      return status === 410 && code === "endpoint_retired";
    });
    const { displayName, description, category, upstreamUrls } = api;
    const { name, method, path, priceMicros } = endpoint ?? {};
    await operate("catalog/publish", {
      name: "qr",
      ...{ displayName, description, category, openapi, upstreamUrls },
      endpoints: [{ name, method, path, priceMicros }],
    });
    const published = await untilChanged(async (gateway) => {
      const { status } = await callGateway(target(gateway), stranger.key);
      return status === 200 && (await headersOf(gateway)).get("sunset") === null;
    });
    expect(Math.max(...deprecated, ...removed, ...published)).toBeLessThan(CHANGED_MS_MAX);
  });

  it("when maintenance begins and ends; the control plane then refuses changes as well, except an operator's", async () => {
    const rename = () =>
      callRest(
        system.ready.apiUrl,
        "projects/rename",
        { id: stranger.projectId, name: "Renamed" },
        stranger.accessToken,
      ).then(
        () => "done",
        (error: Error) => error.message,
      );
    const before = await rename();
    await operate("admin/config/set", { name: "maintenance", value: true });
    const begun = await untilChanged(async (gateway) => (await callQr(gateway)).code === "maintenance");
    expect(await rename()).toMatch(/503.*"code":"maintenance"/);
    const read = { id: stranger.projectId };
    expect(await callRest(system.ready.apiUrl, "projects/read", read, stranger.accessToken)).toHaveProperty("name");
    for (const url of [...system.ready.gatewayUrls, system.ready.apiUrl]) {
      expect([(await fetch(`${url}/healthz`)).status, (await fetch(`${url}/readyz`)).status]).toEqual([200, 200]);
    }
    const { accessToken } = await callRest(system.ready.apiUrl, "customers/login", { ...system.ready.admin });
    await callRest(system.ready.apiUrl, "admin/config/set", { name: "maintenance", value: false }, String(accessToken));
    const ended = await untilChanged(async (gateway) => (await callQr(gateway)).status === 200);
    expect([before, await rename()]).toEqual(["done", "done"]);
    expect(Math.max(...begun, ...ended)).toBeLessThan(CHANGED_MS_MAX);
  });
});

describe("a price that is announced", () => {
  it("counts from its instant on, on every gateway, and not for a call that was admitted before", async () => {
    const [before, after] = [2_000, 3_000];
    const reprice = (priceMicros: number, effectiveFrom?: Date) =>
      operate("catalog/update", {
        name: "qr",
        endpoints: [{ name: "generate", priceMicros: `${priceMicros}` }],
        ...(effectiveFrom === undefined ? {} : { effectiveFrom: effectiveFrom.toISOString() }),
      });
    await reprice(before);
    await untilChanged(async (gateway) => (await callQr(gateway)).priceMicros === before);
    const effectiveFrom = new Date(Date.now() + 2_000);
    await reprice(after, effectiveFrom);
    const wrong: string[] = [];
    let seenAfter = 0;
    await Promise.all(
      system.ready.gatewayUrls.map(async (gateway) => {
        while (Date.now() < effectiveFrom.getTime() + 500) {
          const sentAt = Date.now();
          const { priceMicros } = await callQr(gateway);
          if (Date.now() < effectiveFrom.getTime() && priceMicros !== before) wrong.push(`${priceMicros} too early`);
          if (sentAt > effectiveFrom.getTime() && priceMicros !== after) wrong.push(`${priceMicros} too late`);
          if (sentAt > effectiveFrom.getTime()) seenAfter += 1;
        }
      }),
    );
    expect(wrong).toEqual([]);
    expect(seenAfter).toBeGreaterThan(GATEWAYS);
  });
});

describe("the code that the catalogue shows", () => {
  const tsx = createRequire(import.meta.url).resolve("tsx");
  const snippetsOf = async (name: string, endpoint: string) => {
    const api = await callRest(system.ready.apiUrl, "catalog/api", { name });
    const found = (api["endpoints"] as Record<string, string>[]).find((each) => each["name"] === endpoint);
    return { curl: String(found?.["curl"]), typescript: String(found?.["typescript"]) };
  };
  const runIn = () => ({ cwd: dir, env: { ...process.env, TOLLGATE_KEY: stranger.key } });

  it("runs as it is, in a shell and in TypeScript, and is answered by the running example", async () => {
    const count = await snippetsOf("text", "count");
    const { stdout } = await run("sh", ["-c", count.curl], runIn());
    expect(JSON.parse(stdout)).toMatchObject({ words: 6, sentences: 2 });
    await writeFile(path.join(dir, "count.mts"), count.typescript);
    const viaTypescript = await run(process.execPath, ["--import", tsx, "count.mts"], runIn());
    expect(JSON.parse(viaTypescript.stdout)).toEqual(JSON.parse(stdout));
  });

  it("keeps a picture in a file", async () => {
    const generate = await snippetsOf("qr", "generate");
    const png = Buffer.from([0x89, 0x50, 0x4e, 0x47]);
    await run("sh", ["-c", generate.curl], runIn());
    const viaCurl = await readFile(path.join(dir, "generate.png"));
    expect(viaCurl.subarray(0, 4)).toEqual(png);
    await rm(path.join(dir, "generate.png"));
    await writeFile(path.join(dir, "generate.mts"), generate.typescript);
    await run(process.execPath, ["--import", tsx, "generate.mts"], runIn());
    expect(await readFile(path.join(dir, "generate.png"))).toEqual(viaCurl);
  });
});

describe("with ten thousand other APIs in the catalogue", () => {
  const OTHERS = 10_000;

  /** Three endpoints each, and the gateways know them. */
  async function publishOthers(): Promise<void> {
    const sql = postgres(system.ready.databaseUrl, { max: 1, onnotice: () => undefined });
    try {
      await sql`
        insert into apis (id, name, display_name, description, category, status, openapi, upstream_urls, revision, created_at, updated_at)
        select 'api_other' || n, 'other-' || n, 'Other ' || n, 'One of many', 'others', 'published',
          jsonb_build_object('openapi', '3.1.0', 'padding', repeat('x', 2000)), '["http://127.0.0.1:9"]', 1, now(), now()
        from generate_series(1, ${OTHERS}::int) as n`;
      await sql`
        insert into endpoints (id, api_id, name, method, path, free_per_month, unit, units_max, meter, is_charged_on_4xx,
                               timeout_ms, body_bytes_max, created_at)
        select 'ep_other' || n || '_' || e, 'api_other' || n, 'get' || e, 'GET', '/', 0, 'call', 1, 'call', false, 30000, 1048576, now()
        from generate_series(1, ${OTHERS}::int) as n, generate_series(1, 3) as e`;
      await sql`
        insert into endpoint_prices (endpoint_id, effective_from, price_micros, created_at)
        select id, '2020-01-01', 1000, now() from endpoints where id like 'ep\_other%'`;
      await sql`vacuum analyze apis, endpoints, endpoint_prices`;
    } finally {
      await sql.end();
    }
    await untilChanged(async (gateway) => {
      const { code } = await callGateway(`${gateway}/v1/other-${OTHERS}/get3`, stranger.key);
      return code !== "api_not_found";
    });
  }

  it("a price reaches every gateway within a second", async () => {
    await publishOthers();
    const worst: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const priceMicros = 4_000 + round;
      await operate("catalog/update", { name: "qr", endpoints: [{ name: "generate", priceMicros: `${priceMicros}` }] });
      worst.push(...(await untilChanged(async (gateway) => (await callQr(gateway)).priceMicros === priceMicros)));
    }
    const worstMs = Math.max(...worst).toFixed(0);
    console.info(`among ${OTHERS} others a price reaches ${GATEWAYS} gateways in ${worstMs} ms at worst`);
    expect(Math.max(...worst)).toBeLessThan(CHANGED_MS_MAX);
  });
});
