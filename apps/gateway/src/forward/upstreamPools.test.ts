import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { UpstreamPools } from "./upstreamPools.ts";

const NONE: readonly string[] = [];
let pools: UpstreamPools | undefined;

afterEach(() => pools?.close());

function poolsOver(urls: readonly string[]) {
  const instances = { current: urls.map((url) => ({ url, metadata: {} }) as never) as never[] };
  pools = new UpstreamPools({ connections: 1, instancesOf: () => instances.current });
  const opened = pools;
  return {
    instances,
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
      { url: "http://a.test", metadata: {} },
      { url, metadata: { health: "/healthz" } },
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
    instances.current = ["http://a.test", "http://b.test"].map((url) => ({ url, metadata: {} }) as never);
    const seen = new Set(Array.from({ length: 200 }, () => choose()));
    expect([seen.size, seen.has(kept)]).toEqual([2, true]);
    instances.current = [{ url: "http://b.test", metadata: {} } as never];
    expect(choose()?.url).toBe("http://b.test");
  });

  it("keeps the path of an instance's address in front of the endpoint's", () => {
    expect(poolsOver(["http://c.test/base/"]).choose()?.basePath).toBe("/base");
    expect(poolsOver(["http://a.test/"]).choose()?.basePath).toBe("");
  });
});
