import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { UpstreamPools } from "./upstreamPools.ts";

const NONE: readonly string[] = [];
let pools: UpstreamPools | undefined;

afterEach(() => pools?.close());

function poolsOver(urls: readonly string[]) {
  const instances = { current: urls.map((url) => ({ url, weight: 1, metadata: {} }) as never) as never[] };
  const api = { isSold: true };
  pools = new UpstreamPools({
    connections: 1,
    instancesOf: () => instances.current,
    staticUrlsOf: () => (api.isSold ? NONE : undefined),
  });
  const opened = pools;
  return {
    instances,
    api,
    choose: (except?: ReturnType<UpstreamPools["choose"]>) => opened.choose("api", NONE, except),
  };
}

const URLS = ["http://a.test/", "http://b.test", "http://c.test/base/"];

describe("choosing an instance", () => {
  it("has none when there are none", () => {
    expect(poolsOver([]).choose()).toBeUndefined();
  });

  it("spreads calls, and prefers of two the one with fewer in flight", () => {
    const { choose } = poolsOver(URLS);
    const busy = choose();
    if (busy !== undefined) busy.inFlight = 1_000;
    let onBusy = 0;
    for (let index = 0; index < 900; index += 1) if (choose() === busy) onBusy += 1;
    // Only when both choices fall on it: one in nine.
    expect(onBusy).toBeLessThan(200);
    expect(new Set(Array.from({ length: 200 }, () => choose()?.url)).size).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ["when none of them is busy", 0],
    ["when a hundred calls are under way", 100],
  ])("gives each the share of the calls that its weight asks for, %s", (_, underWay) => {
    const { choose, instances } = poolsOver([]);
    const weights = [1, 2, 5];
    instances.current = URLS.map((url, index) => ({ url, weight: weights[index], metadata: {} }) as never);
    const taken = new Map<string, number>();
    const busy: ReturnType<typeof choose>[] = [];
    for (let index = 0; index < 8_000; index += 1) {
      const target = choose();
      if (target === undefined) throw new Error("There are three");
      taken.set(target.url, (taken.get(target.url) ?? 0) + 1);
      target.inFlight += 1;
      busy.push(target);
      // One of those under way is over, whichever.
      if (busy.length > underWay) {
        const [over] = busy.splice(Math.floor(Math.random() * busy.length), 1);
        if (over !== undefined) over.inFlight -= 1;
      }
    }
    const shares = URLS.map((url) => (taken.get(url) ?? 0) / 1_000);
    for (const [index, share] of shares.entries()) {
      expect(share).toBeGreaterThan((weights[index] ?? 0) * 0.8);
      expect(share).toBeLessThan((weights[index] ?? 0) * 1.2);
    }
  });

  it("leaves out of two the one with more in flight for its weight", () => {
    const { choose, instances } = poolsOver([]);
    instances.current = [
      { url: "http://a.test", weight: 1, metadata: {} },
      { url: "http://b.test", weight: 4, metadata: {} },
    ] as never[];
    const seen = new Map(Array.from({ length: 200 }, () => choose()).map((target) => [target?.url, target]));
    const [a, b] = ["http://a.test", "http://b.test"].map((url) => seen.get(url));
    if (a === undefined || b === undefined) throw new Error("Both are chosen sometimes");
    const shareOfA = (): number =>
      Array.from({ length: 2_000 }, () => choose()).filter((each) => each === a).length / 2_000;
    a.inFlight = 10;
    b.inFlight = 39;
    // Both choices fall on it: one in twenty-five.
    expect(shareOfA()).toBeLessThan(0.1);
    b.inFlight = 41;
    // One of the choices falls on it: nine in twenty-five.
    expect(shareOfA()).toBeGreaterThan(0.25);
  });

  it("sets one aside after three failures in a row, and takes it back when one of them is answered", () => {
    const { choose } = poolsOver(URLS);
    const bad = choose();
    const isChosen = (): boolean => Array.from({ length: 100 }, () => choose()).includes(bad);
    bad?.failed();
    bad?.failed();
    bad?.succeeded();
    bad?.failed();
    bad?.failed();
    expect(isChosen()).toBe(true);
    bad?.failed();
    expect(isChosen()).toBe(false);
    bad?.succeeded();
    expect(isChosen()).toBe(true);
  });

  it("asks one that was set aside whether it is well, and takes it back when it is", async () => {
    const asked: string[] = [];
    let status = 503;
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers["user-agent"]}`);
      response.writeHead(status).end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`;
    const { choose, instances } = poolsOver(["http://a.test"]);
    instances.current = [
      { url: "http://a.test", weight: 1, metadata: {} },
      { url, weight: 1, metadata: { health: "/healthz" } },
    ] as never[];
    const isChosen = (): boolean => Array.from({ length: 100 }, () => choose()?.url).includes(url);
    const target = Array.from({ length: 100 }, () => choose()).find((each) => each?.url === url);
    for (let index = 0; index < 3; index += 1) target?.failed();
    await expect.poll(() => asked, { timeout: 3_000 }).toEqual(["GET /base/healthz tollgate-probe"]);
    expect(isChosen()).toBe(false);
    status = 200;
    await expect.poll(isChosen, { timeout: 4_000 }).toBe(true);
    expect(asked).toHaveLength(2);
    // It is on trial: one more failure is enough.
    target?.failed();
    expect(isChosen()).toBe(false);
  });

  it("tries one rather than none when all are set aside", () => {
    const { choose } = poolsOver(URLS);
    for (let index = 0; index < 200; index += 1) choose()?.failed();
    expect(choose()).toBeDefined();
  });

  it("takes another for the second try if there is one", () => {
    const { choose } = poolsOver(URLS);
    const first = choose();
    for (let index = 0; index < 100; index += 1) expect(choose(first)).not.toBe(first);
    const { choose: chooseOnly } = poolsOver(["http://a.test"]);
    const only = chooseOnly();
    expect(chooseOnly(only)).toBe(only);
  });

  it("follows the instances as they come and go, and keeps what it knows of those that stay", () => {
    const { choose, instances } = poolsOver(["http://a.test"]);
    const kept = choose();
    instances.current = ["http://a.test", "http://b.test"].map((url) => ({ url, weight: 1, metadata: {} }) as never);
    const seen = new Set(Array.from({ length: 200 }, () => choose()));
    expect([seen.size, seen.has(kept)]).toEqual([2, true]);
    instances.current = [{ url: "http://b.test", weight: 1, metadata: {} } as never];
    expect(choose()?.url).toBe("http://b.test");
  });

  /** An upstream that counts its connections, and the pools of an API that it alone serves. */
  async function connectedApi(
    metadata: Readonly<Record<string, string>> = {},
    answer = (response: ServerResponse): unknown => response.end(),
  ) {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? "");
      answer(response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { choose, instances, api } = poolsOver([]);
    instances.current = [{ url, weight: 1, metadata } as never];
    const target = choose();
    if (target === undefined) throw new Error("There is one");
    const connections = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
    return { asked, url, instances, api, target, choose, connections };
  }

  /** Has a target keep a connection open, as it does after a call. */
  const callOn = (target: NonNullable<ReturnType<UpstreamPools["choose"]>>): Promise<void> =>
    new Promise((resolve, reject) =>
      target.dispatch(
        { path: "/", method: "GET", headers: [], body: null, headersTimeout: 1_000, upgrade: null },
        {
          onConnect: () => undefined,
          onHeaders: () => true,
          onUpgrade: () => undefined,
          onData: () => true,
          onComplete: () => resolve(),
          onError: reject,
        },
      ),
    );

  it("lets go of the connections of an API that is removed, although nobody calls it any more", async () => {
    const { api, target, connections } = await connectedApi();
    await callOn(target);
    expect(await connections()).toBe(1);
    api.isSold = false;
    await expect.poll(connections, { timeout: 3_000 }).toBe(0);
  });

  it("lets go of the connections of an instance that has left, although nobody calls its API any more", async () => {
    const { instances, target, connections } = await connectedApi();
    await callOn(target);
    instances.current = [];
    await expect.poll(connections, { timeout: 3_000 }).toBe(0);
  });

  it("gives up a call that takes too long although its instance has left meanwhile", async () => {
    const { instances, target, choose } = await connectedApi({}, () => undefined);
    target.inFlight += 1;
    const called = callOn(target).finally(() => {
      target.inFlight -= 1;
    });
    instances.current = [];
    expect(choose()).toBeUndefined();
    await expect(called).rejects.toMatchObject({ code: "HEADERS_TIMEOUT" });
  });

  it("probes an instance at the path that it names now", async () => {
    const { asked, url, instances, target, choose } = await connectedApi({ health: "/old" });
    instances.current = [{ url, weight: 1, metadata: { health: "/new" } } as never];
    expect(choose()).toBe(target);
    for (let index = 0; index < 3; index += 1) target.failed();
    await expect.poll(() => asked, { timeout: 5_000 }).toEqual(["/new"]);
  });

  it("keeps the path of an instance's address in front of the endpoint's", () => {
    expect(poolsOver(["http://c.test/base/"]).choose()?.basePath).toBe("/base");
    expect(poolsOver(["http://a.test/"]).choose()?.basePath).toBe("");
  });
});
