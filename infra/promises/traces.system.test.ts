import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import type { CollectedSpan, TraceCollector } from "@tollgate/testing/traces";
import { startTraceCollector } from "@tollgate/testing/traces";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { faultsOf, readMetrics } from "./metrics.ts";
import type { Stranger } from "./stranger.ts";
import { addCredit, callGateway, eventually, signUp } from "./stranger.ts";

/** What can be seen of a running system: one trace follows what a request causes, over every process that it goes on in. */
let system: System;
let dir: string;
let collector: TraceCollector;
let stranger: Stranger;

beforeAll(async () => {
  collector = await startTraceCollector();
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url);
  vi.stubEnv("OTEL_TRACES_SAMPLER_ARG", "1");
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-traces-"));
  system = await startSystem({ dir, gateways: 1, ports: "ephemeral", log: () => undefined });
  stranger = await signUp(system.ready, "traces");
  await addCredit(system.ready, stranger.billingAccountId, 1_000_000n);
});

afterAll(async () => {
  await system?.stop();
  await collector?.close();
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

const newTrace = (): string =>
  Array.from({ length: 32 }, () => Math.floor(Math.random() * 15 + 1).toString(16)).join("");
const spansOf = (traceId: string): readonly CollectedSpan[] =>
  collector.spans.filter((span) => span.traceId === traceId);

test("a mutation's trace goes from the request over its transaction into the event that it announces and its consumers", async () => {
  const traceId = newTrace();
  const response = await fetch(`${system.ready.apiUrl}/rest/keys/generate`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${stranger.accessToken}`,
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    },
    body: JSON.stringify({ projectId: stranger.projectId, name: "traced", scopes: ["*"], mode: "live" }),
  });
  expect(response.status).toBe(200);
  const { key } = (await response.json()) as { key: string };
  const consumed = await eventually("a consumer of the event", () =>
    Promise.resolve(spansOf(traceId).find(({ kind, name }) => kind === 5 && name.startsWith("process keys."))),
  );
  // Each process sends its spans by itself, the one that began perhaps last.
  const request = await eventually("the request", () =>
    Promise.resolve(spansOf(traceId).find(({ name }) => name === "POST /rest/keys/generate")),
  );
  const spans = spansOf(traceId);
  expect(request).toMatchObject({ service: "tollgate-api", kind: 2, parentSpanId: "00f067aa0ba902b7" });
  expect(request.attributes).toMatchObject({ "http.response.status_code": 200, "url.path": "/rest/keys/generate" });
  // Its consumers have transactions of their own.
  const transaction = spans.find(({ name, parentSpanId }) => name === "transaction" && parentSpanId === request.spanId);
  expect(transaction).toMatchObject({ service: "tollgate-api" });
  const inserts = spans.filter(({ name, parentSpanId }) => name === "INSERT" && parentSpanId === transaction?.spanId);
  expect(inserts.map(({ attributes }) => attributes["db.query.text"]).join("\n")).toContain('insert into "outbox"');
  expect(consumed).toMatchObject({ service: "tollgate-workers", parentSpanId: request.spanId });
  const sent = await eventually("the sending", () =>
    Promise.resolve(spansOf(traceId).find(({ name }) => name === consumed.name.replace("process", "send"))),
  );
  expect(sent).toMatchObject({ service: "tollgate-workers", kind: 4, parentSpanId: request.spanId });
  for (const secret of [key, stranger.accessToken, stranger.email]) {
    expect(collector.texts.some((text) => text.includes(secret))).toBe(false);
  }
});

test("a request that orders a job is followed into the job", async () => {
  const traceId = newTrace();
  const email = `traced.${newTrace()}@example.com`;
  const response = await fetch(`${system.ready.apiUrl}/rest/onboarding/sendVerificationEmail`, {
    method: "POST",
    headers: { "content-type": "application/json", traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    body: JSON.stringify({ email }),
  });
  expect(response.status).toBe(200);
  const job = await eventually("the job", () =>
    Promise.resolve(spansOf(traceId).find(({ name }) => name === "process emails.send")),
  );
  const request = await eventually("the request", () =>
    Promise.resolve(spansOf(traceId).find(({ name }) => name === "POST /rest/onboarding/sendVerificationEmail")),
  );
  expect(job).toMatchObject({ service: "tollgate-workers", kind: 5, parentSpanId: request.spanId });
  const steps = spansOf(traceId).filter(({ parentSpanId }) => parentSpanId === job.spanId);
  expect(steps.map(({ name }) => name)).toContain("transaction");
  expect(collector.texts.some((text) => text.includes(email))).toBe(false);
});

test("a call is a span at the gateway in the caller's trace, and the upstream goes on under it", async () => {
  const traceId = newTrace();
  const url = `${system.ready.gatewayUrl}/v1/qr/generate?text=traced`;
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${stranger.key}`, traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
  });
  expect(response.status).toBe(200);
  const call = await eventually("the call", () => Promise.resolve(spansOf(traceId)[0]));
  expect(call).toMatchObject({
    service: "tollgate-gateway",
    name: "GET /v1/qr/generate",
    kind: 2,
    parentSpanId: "00f067aa0ba902b7",
    attributes: {
      "http.response.status_code": 200,
      "tollgate.call.outcome": "charged",
      "tollgate.call.id": response.headers.get("tollgate-call-id"),
    },
  });
  expect((await callGateway(url, stranger.key)).status).toBe(200);
  expect(collector.texts.some((text) => text.includes(stranger.key) || text.includes("text=traced"))).toBe(false);
});

test("metrics of every process have names and units by Prometheus' convention, and what is watched is among them", async () => {
  const workersEnv = await readFile(path.join(dir, "env", "workers.env"), "utf8");
  const [, port = ""] = /^WORKERS_PORT="(\d+)"$/m.exec(workersEnv) ?? [];
  const urls = [system.ready.apiUrl, system.ready.gatewayUrl, `http://127.0.0.1:${port}`];
  const metrics = (await Promise.all(urls.map(readMetrics))).flat();
  const own = metrics.filter(({ name }) => name.startsWith("tollgate"));
  expect(own.length).toBeGreaterThan(15);
  expect(own.flatMap(faultsOf)).toEqual([]);

  const observed = fileURLToPath(new URL("../observability/", import.meta.url));
  const texts = await Promise.all(
    ["alerts.yaml", "grafana/dashboards/tollgate.json"].map((file) => readFile(path.join(observed, file), "utf8")),
  );
  const asked = new Set(texts.flatMap((text) => text.match(/tollgate_[a-z_]+/g) ?? []));
  const shown = new Set(metrics.flatMap(({ name, series }) => [name, ...series]));
  expect([...asked].filter((name) => !shown.has(name.replace(/_bucket$/, "")))).toEqual([]);
});
