import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { StatusProbes } from "./statusProbes.ts";
import { createStatusProbes, observe } from "./statusProbes.ts";

const never = (): Promise<never> => new Promise(() => undefined);
const well = async (): Promise<void> => undefined;

test("each part is looked at by itself: one that fails or never answers does not hide the others", async () => {
  const failing = async (): Promise<never> => {
    throw new Error("gone");
  };
  const probes = { gateway: failing, api: never, workers: well, database: well, redis: well, nats: well, etcd: well };
  const seen = await observe(probes, 50);
  const silent = seen.filter(({ hasAnswered }) => !hasAnswered).map(({ component }) => component);
  expect(silent).toEqual(["gateway", "api"]);
  expect(seen).toHaveLength(7);
  expect(seen.find(({ component }) => component === "redis")?.latencyMs).toBeGreaterThanOrEqual(0);
});

test("processes are asked at their public addresses, and an answer other than 200 is none", async () => {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    paths.push(request.url ?? "");
    response.writeHead(paths.length === 1 ? 200 : 503).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { api } = createStatusProbes({
    env: { PUBLIC_API_URL: url, PUBLIC_GATEWAY_URL: url },
    database: undefined as never,
    queues: undefined as never,
    bus: undefined as never,
    etcd: undefined as never,
  });
  const all: StatusProbes = {
    gateway: well,
    api,
    workers: well,
    database: well,
    redis: well,
    nats: well,
    etcd: well,
  };
  const answers = [];
  for (let nth = 0; nth < 2; nth += 1) {
    answers.push((await observe(all)).find(({ component }) => component === "api")?.hasAnswered);
  }
  server.close();
  expect(answers).toEqual([true, false]);
  expect(paths).toEqual(["/healthz", "/healthz"]);
});
