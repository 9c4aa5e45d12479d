import { afterEach, describe, expect, it } from "vitest";
import { UpstreamPools } from "./upstreamPools.ts";

const NONE: readonly string[] = [];
let pools: UpstreamPools | undefined;

afterEach(() => pools?.close());

function poolsOver(urls: readonly string[]) {
  const instances = { current: urls.map((url) => ({ url }) as never) as never[] };
  pools = new UpstreamPools({ connections: 1, instancesOf: () => instances.current });
  const opened = pools;
  return {
    instances,
    choose: (nowMs: number, except?: ReturnType<UpstreamPools["choose"]>) => opened.choose("api", NONE, nowMs, except),
  };
}

const URLS = ["http://a.test/", "http://b.test", "http://c.test/base/"];

describe("choosing an instance", () => {
  it("has none when there are none", () => {
    expect(poolsOver([]).choose(0)).toBeUndefined();
  });

  it("spreads calls, and prefers of two the one with fewer in flight", () => {
    const { choose } = poolsOver(URLS);
    const busy = choose(0);
    if (busy !== undefined) busy.inFlight = 1_000;
    let onBusy = 0;
    for (let index = 0; index < 900; index += 1) if (choose(0) === busy) onBusy += 1;
    // Only when both choices fall on it: one in nine.
    expect(onBusy).toBeLessThan(200);
    expect(new Set(Array.from({ length: 200 }, () => choose(0)?.url)).size).toBeGreaterThanOrEqual(2);
  });

  it("sets one aside after three failures in a row, for a second and then longer, and takes it back when it answers", () => {
    const { choose } = poolsOver(URLS);
    const bad = choose(0);
    const isChosen = (nowMs: number): boolean => Array.from({ length: 100 }, () => choose(nowMs)).includes(bad);
    bad?.failed(0);
    bad?.failed(0);
    expect(isChosen(0)).toBe(true);
    bad?.failed(0);
    expect([isChosen(999), isChosen(1_000)]).toEqual([false, true]);
    bad?.failed(1_000);
    expect([isChosen(2_999), isChosen(3_000)]).toEqual([false, true]);
    bad?.succeeded();
    bad?.failed(3_000);
    expect(isChosen(3_000)).toBe(true);
  });

  it("tries one rather than none when all are set aside", () => {
    const { choose } = poolsOver(URLS);
    for (let index = 0; index < 200; index += 1) choose(0)?.failed(0);
    expect(choose(1)).toBeDefined();
  });

  it("takes another for the second try if there is one", () => {
    const { choose } = poolsOver(URLS);
    const first = choose(0);
    for (let index = 0; index < 100; index += 1) expect(choose(0, first)).not.toBe(first);
    const { choose: chooseOnly } = poolsOver(["http://a.test"]);
    const only = chooseOnly(0);
    expect(chooseOnly(0, only)).toBe(only);
  });

  it("follows the instances as they come and go, and keeps what it knows of those that stay", () => {
    const { choose, instances } = poolsOver(["http://a.test"]);
    const kept = choose(0);
    instances.current = ["http://a.test", "http://b.test"].map((url) => ({ url }) as never);
    const seen = new Set(Array.from({ length: 200 }, () => choose(0)));
    expect([seen.size, seen.has(kept)]).toEqual([2, true]);
    instances.current = [{ url: "http://b.test" } as never];
    expect(choose(0)?.url).toBe("http://b.test");
  });

  it("keeps the path of an instance's address in front of the endpoint's", () => {
    expect(poolsOver(["http://c.test/base/"]).choose(0)?.basePath).toBe("/base");
    expect(poolsOver(["http://a.test/"]).choose(0)?.basePath).toBe("");
  });
});
