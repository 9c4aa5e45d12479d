import { once } from "node:events";
import type { Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { createEtcdStore, UpstreamRegistry } from "@tollgate/config";
import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import { testUrls } from "@tollgate/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import type { ApiDefinition } from "./publishApi.ts";
import { registerUpstream } from "./registerUpstream.ts";
import { runUpstream } from "./runUpstream.ts";

const WAIT = { timeout: 10_000, interval: 20 };
const definition: ApiDefinition = {
  name: "demo",
  displayName: "Demo",
  description: "A demo",
  category: "tools",
  openapi: { openapi: "3.1.0" },
  endpoints: [],
};

/** A gateway's view of the upstreams, in a namespace of this test. */
async function gatewayView() {
  const { etcdUrl } = testUrls();
  const namespace = `/${newId("request")}`;
  const store = createEtcdStore({ url: etcdUrl, clock: systemClock, logger: silentLogger, namespace });
  const registry = new UpstreamRegistry({ store, clock: systemClock, logger: silentLogger });
  onTestFinished(() => {
    registry.close();
    store.close();
  });
  await registry.waitUntilSynced(5_000);
  return { etcdUrl, namespace, registry };
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${address.port}`;
}

test("a registered upstream is in every gateway's memory, and out of it when it closes", async () => {
  const { etcdUrl, namespace, registry } = await gatewayView();
  const registration = await registerUpstream({
    etcdUrl,
    namespace,
    logger: silentLogger,
    api: "qr",
    url: "http://10.0.0.7:8080",
    weight: 2,
    instance: "a",
  });
  expect(registration.isRegistered()).toBe(true);
  await vi.waitFor(
    () => expect(registry.instances("qr")).toEqual([{ id: "a", url: "http://10.0.0.7:8080", weight: 2, metadata: {} }]),
    WAIT,
  );
  await registration.close();
  await vi.waitFor(() => expect(registry.instances("qr")).toEqual([]), WAIT);
});

test("an upstream with a name or an address that no gateway could use is refused", async () => {
  const common = { etcdUrl: "http://127.0.0.1:1", logger: silentLogger };
  await expect(registerUpstream({ ...common, api: "a/b", url: "http://x" })).rejects.toThrow(RangeError);
  await expect(registerUpstream({ ...common, api: "a", url: "ftp://x" })).rejects.toThrow(TypeError);
  await expect(registerUpstream({ ...common, api: "a", url: "nonsense" })).rejects.toThrow(TypeError);
});

test("a stopping upstream leaves the gateways first and still answers what is in flight", async () => {
  const { etcdUrl, namespace, registry } = await gatewayView();
  const published = vi.fn();
  const apiUrl = await listening(
    createServer((request, response) => {
      published(request.url);
      request.resume();
      response.end("{}");
    }),
  );
  let inFlight: ServerResponse | undefined;
  const server = createServer((_request, response) => {
    inFlight = response;
  });
  const upstream = await runUpstream({
    server,
    definition,
    host: "127.0.0.1",
    port: 0,
    etcdUrl,
    apiUrl,
    serviceToken: "s",
    namespace,
    logger: silentLogger,
  });
  await vi.waitFor(() => expect(registry.instances("demo")[0]?.url).toBe(upstream.url), WAIT);
  await vi.waitFor(() => expect(published).toHaveBeenCalledExactlyOnceWith("/rest/catalog/publish"), WAIT);

  const answer = fetch(upstream.url).then((response) => response.text());
  await vi.waitFor(() => expect(inFlight).toBeDefined(), WAIT);
  const stopped = upstream.stop();
  await vi.waitFor(() => expect(registry.instances("demo")).toEqual([]), WAIT);
  inFlight?.end("finished");
  expect(await answer).toBe("finished");
  await stopped;
  expect(server.listening).toBe(false);
});
