import type { IncomingMessage, ServerResponse } from "node:http";
import { EVENTS_MAX, ingestInput } from "@tollgate/contracts";
import { badRequest, isService, TollgateError, unauthorized } from "@tollgate/kernel";
import { ingestEvents } from "@tollgate/services/usage";
import { getTRPCErrorFromUnknown, TRPCError } from "@trpc/server";
import type { RequestContext } from "../context.ts";
import { toTollgateError } from "../errors.ts";
import { binaryEvent, parseJson } from "./binaryEvent.ts";
import { sendProblem } from "./createRestHandler.ts";
import type { FailedCall, RequestHandler } from "./createTrpcHandler.ts";
import { toPlainJson } from "./plainJson.ts";
import { RequestAborted, readBytes } from "./readBody.ts";

/**
 * `POST /v1/events?projectId=…`: CloudEvents over HTTP in all three content modes
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md), for senders that speak
 * the standard and not this API. A batch is answered 200 with a result for each event; a single event that is rejected is
 * a bad request.
 */
export const EVENTS_PATH = "/v1/events";
const BODY_BYTES_MAX = 8 * 1024 * 1024;

export interface EventsHandlerOptions {
  createContext(request: IncomingMessage, response: ServerResponse): RequestContext;
  onError?(failure: FailedCall<RequestContext>): void;
  onCall?(path: string, error: TRPCError | undefined, startedAtMs: number): void;
}

/** A handler of {@link EVENTS_PATH}. It answers every request and never throws. */
export function createEventsHandler(options: EventsHandlerOptions): RequestHandler {
  return (request, response) => {
    const startedAtMs = performance.now();
    const ctx = options.createContext(request, response);
    answer(ctx, request, response).then(
      () => options.onCall?.("usage.ingest", undefined, startedAtMs),
      (thrown: unknown) => {
        if (thrown instanceof RequestAborted) return response.destroy();
        const error = getTRPCErrorFromUnknown(thrown);
        options.onError?.({ error, path: "usage.ingest", ctx });
        options.onCall?.("usage.ingest", error, startedAtMs);
        return sendProblem(response, toTollgateError(error), ctx.requestId, EVENTS_PATH);
      },
    );
  };
}

async function answer(ctx: RequestContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "POST") throw new TollgateError("METHOD_NOT_ALLOWED", "Events are sent with POST");
  const actor = await ctx.authenticate();
  if (actor.kind === "anonymous") throw unauthorized();
  if (!isService(actor)) throw new TollgateError("FORBIDDEN", "Only a service may do this");
  const { events, isBatch } = readEvents(request, await readBytes(request, BODY_BYTES_MAX));
  const projectId = new URLSearchParams((request.url ?? "").split("?", 2)[1] ?? "").get("projectId") ?? undefined;
  if (isBatch && events.length === 0) return send(response, { results: [], accepted: 0, rejected: 0 });
  const parsed = ingestInput.safeParse({ projectId, events });
  if (!parsed.success) throw new TRPCError({ code: "BAD_REQUEST", cause: parsed.error });
  const answer = await ingestEvents({ ctx: { ...ctx, actor }, input: parsed.data });
  const [only] = answer.results;
  if (!isBatch && only?.status === "rejected") {
    const [issue] = only.issues ?? [];
    throw badRequest(`The event is not valid: ${issue?.path}: ${issue?.message}`, {
      reason: "invalid_event",
      issues: only.issues ?? [],
    });
  }
  send(response, isBatch ? answer : only);
}

function send(response: ServerResponse, value: unknown): void {
  const body = toPlainJson(value);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

interface Sent {
  readonly events: unknown[];
  readonly isBatch: boolean;
}

/** @throws TollgateError BAD_REQUEST for what is neither of the modes, PAYLOAD_TOO_LARGE for too many events */
function readEvents(request: IncomingMessage, body: Buffer): Sent {
  const contentType = request.headers["content-type"] ?? "";
  const mediaType = contentType.toLowerCase().split(";", 1)[0]?.trim() ?? "";
  if (mediaType === "application/cloudevents-batch+json") {
    const events = parseJson(body.toString("utf8"));
    if (!Array.isArray(events)) throw badRequest("A batch of events is a JSON array", { reason: "invalid_event" });
    if (events.length > EVENTS_MAX) {
      throw new TollgateError("PAYLOAD_TOO_LARGE", `A batch has at most ${EVENTS_MAX} events`, {
        reason: "too_many_events",
      });
    }
    return { events, isBatch: true };
  }
  if (mediaType === "application/cloudevents+json")
    return { events: [parseJson(body.toString("utf8"))], isBatch: false };
  if (request.headers["ce-specversion"] !== undefined) {
    return { events: [binaryEvent(request.headers, body)], isBatch: false };
  }
  throw badRequest(
    "Send application/cloudevents+json, application/cloudevents-batch+json, or an event's attributes as ce- headers",
    { reason: "unsupported_media_type" },
  );
}
