import type { Attributes, Context, Span, SpanKind, Tracer } from "@opentelemetry/api";
import { context, INVALID_SPAN_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { parseTraceParent } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { ATTR_ERROR_TYPE, ATTR_SERVICE_NAME } from "@opentelemetry/semantic-conventions";

/**
 * Traces of one process, by OpenTelemetry, sent over OTLP. Until {@link startTracing} is called with an endpoint every
 * function here does its work without a span, and costs a comparison.
 *
 * Spans carry names, counts and codes and never what a person or a secret could be read from: no bodies, no parameters of
 * statements, no messages of errors.
 */
let tracer: Tracer | undefined;

export interface TracingOptions {
  readonly service: string;
  /** Where a collector takes OTLP over HTTP, without `/v1/traces`; undefined: nothing is traced. */
  readonly endpoint: string | undefined;
  /** The part of all traces that is recorded, 0 to 1. */
  readonly sampleRatio: number;
}

export interface Tracing {
  /** Sends what waits. A collector that is away holds nothing up for longer than `STOP_MS_MAX`. */
  stop(): Promise<void>;
}

const EXPORT_TIMEOUT_MS = 5_000;
const STOP_MS_MAX = 2_000;

/**
 * Begins to trace this process. Whether a trace is recorded is decided by its id, by the same share in each process, so a
 * trace is there as a whole or not at all, and a caller who marks every call as sampled gains nothing by it.
 */
export function startTracing(options: TracingOptions): Tracing {
  const { service, endpoint, sampleRatio } = options;
  if (endpoint === undefined) return { stop: () => Promise.resolve() };
  const byRatio = new TraceIdRatioBasedSampler(sampleRatio);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ [ATTR_SERVICE_NAME]: service }),
    sampler: new ParentBasedSampler({
      root: byRatio,
      remoteParentSampled: byRatio,
      remoteParentNotSampled: new AlwaysOffSampler(),
    }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS }),
        scheduledDelayMillis: 1_000,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  tracer = provider.getTracer("tollgate");
  return {
    stop: async () => {
      tracer = undefined;
      await Promise.race([
        provider.shutdown().catch(() => undefined),
        new Promise((resolve) => setTimeout(resolve, STOP_MS_MAX).unref()),
      ]);
      context.disable();
    },
  };
}

export interface SpanOptions {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
}

export interface CausedSpanOptions extends SpanOptions {
  /** The cause, where it is not what this process is doing just now. */
  readonly traceparent?: string | undefined;
}

/** Whether this process is traced. Hot paths ask before they build anything. */
export const isTracing = (): boolean => tracer !== undefined;

/** A span that its holder ends. Undefined where nothing is traced. */
export function startSpan(name: string, options: CausedSpanOptions): Span | undefined {
  return tracer?.startSpan(name, options, contextOf(options.traceparent));
}

/** Does some work under a span of its own, caused by `traceparent` or by what is under way. */
export async function withSpan<Result>(
  name: string,
  options: CausedSpanOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  if (tracer === undefined) return work();
  const parent = contextOf(options.traceparent);
  return runUnder(tracer.startSpan(name, options, parent), parent, work);
}

/** Does a step of what is under way under a span; without a span where nothing is being recorded. */
export async function withStep<Result>(
  name: string,
  options: SpanOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const span = startStep(name, options);
  return span === undefined ? work() : runUnder(span, context.active(), work);
}

/** Sends messages together, each under a span in the trace that it comes from; those that come from none have no span. */
export async function withSpans<Result>(
  messages: readonly { readonly name: string; readonly traceparent: string | null }[],
  options: SpanOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  if (tracer === undefined) return work();
  const spans = messages.flatMap(({ name, traceparent }) =>
    traceparent === null ? [] : (startSpan(name, { ...options, traceparent }) ?? []),
  );
  try {
    return await work();
  } catch (error) {
    for (const span of spans) failSpan(span, error);
    throw error;
  } finally {
    for (const span of spans) span.end();
  }
}

/** The span of a step that its holder ends; undefined where nothing is being recorded. */
export function startStep(name: string, options: SpanOptions): Span | undefined {
  if (tracer === undefined || trace.getActiveSpan()?.isRecording() !== true) return undefined;
  return tracer.startSpan(name, options, context.active());
}

/** Runs a function, and what listens to the emitters, as part of a span. */
export function runInSpan(span: Span, emitters: readonly object[], run: () => void): void {
  const inside = trace.setSpan(context.active(), span);
  for (const emitter of emitters) context.bind(inside, emitter);
  context.with(inside, run);
}

/** A function that goes on in the trace in which it was made, whoever calls it: drivers call back from their sockets. */
export function keepTrace<Fn extends (...args: never[]) => unknown>(fn: Fn): Fn {
  return tracer === undefined ? fn : context.bind(context.active(), fn);
}

/** The `traceparent` of what is under way, for whatever follows from it; undefined where nothing is traced. */
export function currentTraceparent(): string | undefined {
  const span = tracer === undefined ? undefined : trace.getActiveSpan();
  return span === undefined ? undefined : traceparentOfSpan(span);
}

/** @returns undefined for a span that stands for none */
export function traceparentOfSpan(span: Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext();
  if (traceId === INVALID_SPAN_CONTEXT.traceId) return undefined;
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** Says of a span that its work failed, by the kind of the error alone. */
export function failSpan(span: Span, error: unknown): void {
  span.setAttribute(ATTR_ERROR_TYPE, errorType(error));
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function contextOf(traceparent: string | undefined): Context {
  const remote = traceparent === undefined ? null : parseTraceParent(traceparent);
  return remote === null ? context.active() : trace.setSpanContext(context.active(), { ...remote, isRemote: true });
}

async function runUnder<Result>(span: Span, parent: Context, work: () => Promise<Result>): Promise<Result> {
  try {
    return await context.with(trace.setSpan(parent, span), work);
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

function errorType(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : error.name;
}
