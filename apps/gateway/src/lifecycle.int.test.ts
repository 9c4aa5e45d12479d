import { once } from "node:events";
import { appendFileSync, cpSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { Agent, request as sendRequest } from "node:http";
import { join } from "node:path";
import { walletBudgetId } from "@tollgate/services/budgets";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, problemCode } from "./testing/client.ts";
import type { LabAccount } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";
import { Line } from "./testing/line.ts";

/** Starting and stopping: nothing that was answered is lost, and nothing is counted twice. */
const DEAD_PID = 4_194_303;

let lab: Lab;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [{ name: "get" }]);
  script = lab.upstream.script((_, response) => response.end("served"));
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

const runsIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.startsWith("gw_"));

async function openLeasesOf(account: LabAccount): Promise<number> {
  const [row] = await lab.database.sql`
    select count(*) as n from budget_leases where budget_id = ${walletBudgetId(account.billingAccountId)}`;
  return Number(row?.["n"]);
}

function resolvable(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

describe("stopping", () => {
  it("finishes the calls in flight, folds them, gives the leases back and leaves an empty spool", async () => {
    const caller = await lab.createAccount();
    const directory = lab.newDirectory();
    const gateway = await lab.startGateway({ GATEWAY_SPOOL_DIR: directory });
    let finish: () => void = () => undefined;
    const name = lab.upstream.script((_, response) => {
      response.write("begun ");
      finish = () => response.end("done");
    });
    const agent = new Agent({ keepAlive: true });
    await call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key, agent });
    const inFlight = call(`${gateway.url}/v1/lab/get/${name}`, { key: caller.key, agent });
    await expect.poll(() => lab.upstream.requestsOf(name).length).toBe(1);
    const stopped = gateway.stop();
    await expect(call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key })).rejects.toThrow();
    finish();
    const finishedAt = performance.now();
    const answer = await inFlight;
    expect(answer.body.toString()).toBe("begun done");
    await stopped;
    // An idle keep-alive connection does not hold the stop up.
    expect(performance.now() - finishedAt).toBeLessThan(4_000);
    agent.destroy();
    expect(await lab.callsOf(caller)).toHaveLength(2);
    expect(await lab.walletOf(caller)).toEqual({ used: 2 * PRICE, held: 0 });
    expect(await openLeasesOf(caller)).toBe(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("refuses new calls on connections that are open", async () => {
    const caller = await lab.createAccount();
    const gateway = await lab.startGateway();
    let finish: () => void = () => undefined;
    const name = lab.upstream.script((_, response) => {
      response.write("begun ");
      finish = () => response.end("done");
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const socketOf = async (): Promise<void> => {
      await call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key, agent });
    };
    await socketOf();
    const request = sendRequest(`${gateway.url}/v1/lab/get/${name}`, {
      headers: { authorization: `Bearer ${caller.key}` },
      agent,
    }).end();
    const [response] = await once(request, "response");
    // Pipelined behind the call in flight: it reaches the gateway when that has decided to stop.
    const stopped = gateway.stop();
    request.socket?.write(
      `GET /v1/lab/get/${script} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${caller.key}\r\n\r\n`,
    );
    let bytes = "";
    request.socket?.on("data", (chunk: Buffer) => {
      bytes += chunk.toString();
    });
    response.resume();
    const closed = once(request.socket ?? request, "close");
    finish();
    await closed;
    await stopped;
    expect(bytes).toContain('"code":"draining"');
    expect(lab.upstream.requestsOf(name)).toHaveLength(1);
  });

  it("keeps the record of a call that was admitted while its budget was asked for as the stop began", async () => {
    const caller = await lab.createAccount();
    const gateway = await lab.startGateway({ GATEWAY_SPOOL_FSYNC: "on" });
    await call(`${gateway.url}/v1/lab/get/${script}`, { key: (await lab.createAccount()).key });
    // Whoever asks for this budget from now on waits until the lock is released.
    const { promise: held, resolve: hold } = resolvable();
    const { promise: released, resolve: release } = resolvable();
    const locking = lab.database.sql.begin(async (sql) => {
      await sql`select id from budgets where id = ${walletBudgetId(caller.billingAccountId)} for update`;
      hold();
      await released;
    });
    await Promise.race([held, locking]);
    const waiting = call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key });
    await expect
      .poll(async () => {
        // Of this database alone: other suites wait for locks of theirs on the same server.
        const [row] = await lab.database.sql`
          select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
        return Number(row?.["n"]);
      })
      .toBeGreaterThan(0);
    const stopped = gateway.stop();
    // Long enough for the shipper to look at the spool again, which it does four times a second.
    await new Promise((resolve) => setTimeout(resolve, 600));
    release();
    await locking;
    expect((await waiting).status).toBe(200);
    await stopped;
    expect(await lab.callsOf(caller)).toMatchObject([{ outcome: "charged", chargedMicros: PRICE }]);
  });

  it("records a call that it had to cut off", async () => {
    const caller = await lab.createAccount();
    const gateway = await lab.startGateway({ GATEWAY_DRAIN_SECONDS: 0.1 });
    const name = lab.upstream.script((_, response) => response.write("an endless stream"));
    const request = sendRequest(`${gateway.url}/v1/lab/get/${name}`, {
      headers: { authorization: `Bearer ${caller.key}` },
    }).end();
    const [response] = await once(request, "response");
    response.on("error", () => undefined).resume();
    await gateway.stop();
    expect(gateway.failures).toEqual([]);
    expect(await lab.callsOf(caller)).toMatchObject([{ outcome: "charged", status: 200, chargedMicros: PRICE }]);
    expect(await lab.walletOf(caller)).toEqual({ used: PRICE, held: 0 });
  });

  it("waits for calls in flight as long as it is told to, and no longer", async () => {
    const caller = await lab.createAccount();
    const gateway = await lab.startGateway({ GATEWAY_DRAIN_SECONDS: 1 });
    const name = lab.upstream.script((_, response) => {
      response.write("begun ");
      setTimeout(() => response.end("done"), 500);
    });
    const endless = lab.upstream.script((_, response) => response.write("an endless stream"));
    const answers = [name, endless].map((each) => call(`${gateway.url}/v1/lab/get/${each}`, { key: caller.key }));
    await expect.poll(() => lab.upstream.requestsOf(name).length + lab.upstream.requestsOf(endless).length).toBe(2);
    const startedAt = performance.now();
    await gateway.stop();
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    expect((await Promise.all(answers)).map((answer) => answer.isBroken)).toEqual([false, true]);
  });

  it("comes to an end although no server of ours answers", async () => {
    const gateway = await lab.startGateway({
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
      REDIS_URL: "redis://127.0.0.1:1",
      NATS_URL: "nats://127.0.0.1:1",
      ETCD_URL: "http://127.0.0.1:1",
    });
    const startedAt = performance.now();
    await gateway.stop();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

describe("a start after a crash", () => {
  it("folds what the run before had answered exactly once, and gives its leases back", async () => {
    const caller = await lab.createAccount();
    const crashed = lab.newDirectory();
    // It never gets a call to the queue: all it has is its spool.
    const gateway = await lab.startGateway({ GATEWAY_SPOOL_DIR: crashed, REDIS_URL: "redis://127.0.0.1:1" });
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key })),
    );
    expect(answers.map((answer) => answer.status)).toEqual(new Array(25).fill(200));
    // What kill -9 would leave: the spool as it is now, a half-written line, and the lock of a process that is gone.
    const directory = lab.newDirectory();
    cpSync(crashed, directory, { recursive: true });
    const [run = ""] = runsIn(directory);
    appendFileSync(join(directory, run, "00000001.spool"), "3\t99\tcall_torn\t17");
    writeFileSync(join(directory, "lock"), String(DEAD_PID));
    expect(await lab.callsOf(caller)).toHaveLength(0);

    await lab.startGateway({ GATEWAY_SPOOL_DIR: directory });
    await expect.poll(() => lab.callsOf(caller), { timeout: 10_000 }).toHaveLength(25);
    await expect.poll(() => existsSync(join(directory, run)), { timeout: 10_000 }).toBe(false);
    expect(await lab.walletOf(caller)).toEqual({ used: 25 * PRICE, held: 0 });
    expect(await openLeasesOf(caller)).toBe(0);

    // The same calls once more, as if the crash had come between the fold and its acknowledgement.
    const again = lab.newDirectory();
    cpSync(join(crashed, run), join(again, run), { recursive: true });
    await lab.startGateway({ GATEWAY_SPOOL_DIR: again });
    await expect.poll(() => existsSync(join(again, run)), { timeout: 10_000 }).toBe(false);
    expect(await lab.callsOf(caller)).toHaveLength(25);
    expect(await lab.walletOf(caller)).toEqual({ used: 25 * PRICE, held: 0 });
    await gateway.stop();
  });

  it("does not begin on a spool directory that a living process uses", async () => {
    const directory = lab.newDirectory();
    writeFileSync(join(directory, "lock"), String(process.ppid));
    await expect(lab.startGateway({ GATEWAY_SPOOL_DIR: directory })).rejects.toThrow(String(process.ppid));
  });
});

describe("without dependencies", () => {
  it("refuses calls without credit certainty and never gives them away", async () => {
    const gateway = await lab.startGateway({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" });
    const { key } = await lab.createAccount();
    const answer = await call(`${gateway.url}/v1/lab/get/${script}`, { key });
    expect([answer.status, problemCode(answer)]).toEqual([503, "keys_unavailable"]);
    expect((await call(`${gateway.url}/healthz`)).status).toBe(200);
    const ready = await call(`${gateway.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.body.toString())).toMatchObject({ ready: false, dependencies: { database: "down" } });
  });

  it("goes on serving a warm key while Redis is away, and folds the calls when it is back", async () => {
    const caller = await lab.createAccount();
    const line = await Line.lay(lab.namespace.redisUrl);
    const gateway = await lab.startGateway({ REDIS_URL: line.url });
    const callOften = async (calls: number): Promise<void> => {
      for (let made = 0; made < calls; made += 1) {
        expect((await call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key })).status).toBe(200);
      }
    };
    const counted = () => lab.callsOf(caller);
    await callOften(1);
    await expect.poll(counted, { timeout: 10_000 }).toHaveLength(1);
    line.cut();
    await expect.poll(async () => (await call(`${gateway.url}/readyz`)).body.toString()).toContain('"rates":"alone"');
    await callOften(5);
    const metrics = async () => (await call(`${gateway.url}/metrics`)).body.toString();
    expect(await metrics()).toMatch(/^tollgate_gateway_spool_unfolded 5$/m);
    expect(await counted()).toHaveLength(1);
    expect(await lab.walletOf(caller)).toMatchObject({ used: PRICE });
    line.mend();
    await expect.poll(counted, { timeout: 10_000 }).toHaveLength(6);
    expect(await lab.walletOf(caller)).toMatchObject({ used: 6 * PRICE });
    await gateway.stop();
    line.close();
  });

  it("goes on while nobody folds, and has the calls folded when somebody does", async () => {
    const caller = await lab.createAccount();
    const gateway = await lab.startGateway();
    await lab.stopFolding();
    for (let index = 0; index < 5; index += 1) {
      expect((await call(`${gateway.url}/v1/lab/get/${script}`, { key: caller.key })).status).toBe(200);
    }
    expect(await lab.callsOf(caller)).toHaveLength(0);
    lab.startFolding();
    await expect.poll(() => lab.callsOf(caller), { timeout: 10_000 }).toHaveLength(5);
  });
});
