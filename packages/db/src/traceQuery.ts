import { failSpan, isTracing, SpanKind, startStep } from "@tollgate/telemetry";

type Then = Promise<unknown>["then"];

/**
 * Puts a statement into the trace of whatever sends it, by its text, which has placeholders where the values are
 * (https://opentelemetry.io/docs/specs/semconv/database/). The driver's query starts when it is awaited, and so does the span.
 */
export function traceQuery(text: string, query: Promise<unknown>): void {
  if (!isTracing()) return;
  const operation = text.slice(0, text.indexOf(" ")).toUpperCase();
  const attributes = { "db.system.name": "postgresql", "db.operation.name": operation, "db.query.text": text };
  const span = startStep(operation, { kind: SpanKind.CLIENT, attributes });
  if (span === undefined) return;
  const then = query.then.bind(query) as Then;
  const traced: Then = (onDone, onFailed) =>
    then(
      (rows) => {
        span.end();
        return onDone == null ? (rows as never) : onDone(rows);
      },
      (error: unknown) => {
        failSpan(span, error);
        span.end();
        if (onFailed == null) throw error;
        return onFailed(error);
      },
    );
  // biome-ignore lint/suspicious/noThenProperty: the driver's query is a promise, and is listened to where it is awaited.
  Object.defineProperty(query, "then", { value: traced });
}
