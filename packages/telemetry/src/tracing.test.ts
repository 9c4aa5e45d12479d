import { EventEmitter } from "node:events";
import type { TraceCollector } from "@tollgate/testing/traces";
import { startTraceCollector } from "@tollgate/testing/traces";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Tracing } from "./index.ts";
import {
  currentTraceparent,
  isTracing,
  keepTrace,
  nextTraceparent,
  runInSpan,
  SpanKind,
  startSpan,
  startStep,
  startTracing,
  traceparentOfSpan,
  withSpan,
  withSpans,
  withStep,
} from "./index.ts";

const SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
let collector: TraceCollector;
let tracing: Tracing;

beforeEach(async () => {
  collector = await startTraceCollector();
});
afterEach(async () => {
  await tracing.stop();
  await collector.close();
});

const start = (sampleRatio = 1): void => {
  tracing = startTracing({ service: "tollgate-test", endpoint: collector.url, sampleRatio });
};
/** What the collector has when everything was sent, by name. */
async function collected(): Promise<Record<string, TraceCollector["spans"][number]>> {
  await tracing.stop();
  return Object.fromEntries(collector.spans.map((span) => [span.name, span]));
}

test("without an endpoint nothing is traced, and all work is done all the same", async () => {
  tracing = startTracing({ service: "tollgate-test", endpoint: undefined, sampleRatio: 1 });
  expect(isTracing()).toBe(false);
  expect(startSpan("a", {})).toBeUndefined();
  expect(startStep("a", {})).toBeUndefined();
  expect(await withSpan("a", {}, async () => currentTraceparent() ?? "none")).toBe("none");
  expect(await withSpans([{ name: "a", traceparent: SAMPLED }], {}, async () => 2)).toBe(2);
});

test("steps hang under their span, the span under its cause, and each says which process it is of", async () => {
  start();
  await withSpan("request", { kind: SpanKind.SERVER, traceparent: SAMPLED }, () =>
    withStep("transaction", { attributes: { attempt: 2 } }, () => withStep("statement", {}, async () => undefined)),
  );
  const { request, transaction, statement } = await collected();
  expect(request).toMatchObject({ parentSpanId: "00f067aa0ba902b7", kind: 2, service: "tollgate-test" });
  expect(transaction).toMatchObject({ parentSpanId: request?.spanId, attributes: { attempt: 2 } });
  expect(statement).toMatchObject({ parentSpanId: transaction?.spanId, traceId: SAMPLED.slice(3, 35) });
});

test("what follows elsewhere goes on under the traceparent of what is under way", async () => {
  start();
  let traceparent: string | undefined;
  await withSpan("request", {}, async () => {
    await Promise.resolve();
    traceparent = currentTraceparent();
  });
  await withSpans(
    [
      { name: "send", traceparent: traceparent ?? "" },
      { name: "none", traceparent: null },
    ],
    { kind: SpanKind.PRODUCER },
    async () => undefined,
  );
  await withSpan("process", { traceparent }, async () => undefined);
  const { request, send, process, none } = await collected();
  expect([send?.parentSpanId, process?.parentSpanId]).toEqual([request?.spanId, request?.spanId]);
  expect(none).toBeUndefined();
});

test("a failure marks its span by the error's kind, goes on to the caller, and its message is told to nobody", async () => {
  start();
  const failure = Object.assign(new Error("duplicate key: somebody@example.test"), { code: "23505" });
  await expect(withSpan("request", {}, () => Promise.reject(failure))).rejects.toBe(failure);
  expect((await collected())["request"]).toMatchObject({ isError: true, attributes: { "error.type": "23505" } });
  expect(collector.texts.join("")).not.toContain("somebody@example.test");
});

test("a step without anything recorded around it has no span: pollers make no traces", async () => {
  start();
  await withStep("poll", {}, async () => undefined);
  await withSpan("unsampled", { traceparent: nextTraceparent() }, () => withStep("inner", {}, async () => undefined));
  expect(Object.keys(await collected())).toEqual([]);
});

test("listeners of an emitter and callbacks of a driver go on in the span in which they were made", async () => {
  start();
  const span = startSpan("request", {});
  const emitter = new EventEmitter();
  const seen: (string | undefined)[] = [];
  let callBack = (): void => undefined;
  if (span === undefined) throw new Error("Nothing is traced");
  runInSpan(span, [emitter], () => {
    emitter.on("data", () => seen.push(currentTraceparent()));
    callBack = keepTrace(() => void seen.push(currentTraceparent()));
  });
  emitter.emit("data");
  callBack();
  span.end();
  expect(seen).toEqual([traceparentOfSpan(span), traceparentOfSpan(span)]);
  expect(currentTraceparent()).toBeUndefined();
});

test("the share decides by the trace's id, so a caller who marks everything as sampled records no more of it", async () => {
  start(0.25);
  const TRACES = 400;
  for (let index = 0; index < TRACES; index += 1) {
    const traceparent = nextTraceparent().replace(/-00$/, "-01");
    await withSpan("request", { traceparent }, async () => undefined);
    await withSpan("other process", { traceparent }, async () => undefined);
  }
  await tracing.stop();
  const [requests, others] = ["request", "other process"].map((name) =>
    collector.spans.filter((span) => span.name === name).map(({ traceId }) => traceId),
  );
  expect(requests?.toSorted()).toEqual(others?.toSorted());
  // Five standard deviations around a quarter of 400.
  expect(Math.abs((requests?.length ?? 0) - TRACES / 4)).toBeLessThan(45);
});

test("a collector that is away holds up neither the work nor the end of the process", async () => {
  start();
  await collector.close();
  expect(await withSpan("request", {}, async () => "done")).toBe("done");
  await tracing.stop();
  collector = await startTraceCollector();
});
