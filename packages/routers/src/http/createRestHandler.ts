import type { IncomingMessage, ServerResponse } from "node:http";
import { TollgateError, toProblem, unavailable } from "@tollgate/kernel";
import type { AnyTRPCProcedure, AnyTRPCRouter, inferRouterContext } from "@trpc/server";
import { getTRPCErrorFromUnknown, TRPCError } from "@trpc/server";
import { httpStatusOf, toTollgateError } from "../errors.ts";
import type { ProcedureMeta } from "../trpc.ts";
import { assertStorable } from "./assertStorable.ts";
import { bodyLimit } from "./bodyLimit.ts";
import { callProcedure } from "./callProcedure.ts";
import type { FailedCall, RequestHandler } from "./createTrpcHandler.ts";
import { toPlainJson } from "./plainJson.ts";
import { procedureMap } from "./procedureMap.ts";
import { RequestAborted, readBody } from "./readBody.ts";
import { isEndOfStream, streamEvents, streamText } from "./streamEvents.ts";

/**
 * The same procedures for every language: `POST /rest/keys/generate` with the input as plain JSON answers the output as
 * plain JSON. Amounts are decimal strings, instants ISO 8601 text, failures RFC 9457 problems. Everything is a POST, as
 * inputs are structured and often private, and neither belongs in a URL. Subscriptions are server-sent events, for which
 * EventSource sends a GET, so these take their fields from the address as well.
 */
export interface RestHandlerOptions<Router extends AnyTRPCRouter> {
  readonly router: Router;
  /** What comes before `<domain>/<procedure>` in the path, with both slashes. */
  readonly prefix: string;
  createContext(request: IncomingMessage, response: ServerResponse): inferRouterContext<Router>;
  onError?(failure: FailedCall<inferRouterContext<Router>>): void;
  onCall?(path: string, error: TRPCError | undefined, startedAtMs: number): void;
  readonly bodyBytesMax?: number;
}

const BODY_BYTES_MAX = 1024 * 1024;

/** A handler of everything under the prefix. It answers every request and never throws. */
export function createRestHandler<Router extends AnyTRPCRouter>(options: RestHandlerOptions<Router>): RequestHandler {
  const procedures = procedureMap(options.router);
  return (request, response) => {
    answer(options, procedures, request, response).catch((error: unknown) => {
      if (!(error instanceof RequestAborted)) {
        options.onError?.({ error: getTRPCErrorFromUnknown(error), path: undefined, ctx: undefined });
      }
      response.destroy();
    });
  };
}

async function answer<Router extends AnyTRPCRouter>(
  options: RestHandlerOptions<Router>,
  procedures: ReadonlyMap<string, AnyTRPCProcedure>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedAtMs = performance.now();
  const url = request.url ?? "";
  const queryAt = url.indexOf("?");
  const pathname = queryAt === -1 ? url : url.slice(0, queryAt);
  const path = pathname.slice(options.prefix.length).replaceAll("/", ".");
  const ctx = options.createContext(request, response);
  const procedure = procedures.get(path);
  try {
    if (procedure === undefined) throw noSuchProcedure(pathname);
    if (procedure._def.type === "subscription") {
      const input = await readStreamInput(request, procedure, url, options.bodyBytesMax ?? BODY_BYTES_MAX);
      await answerStream(options, { procedure, path, ctx, input }, response);
      options.onCall?.(path, undefined, startedAtMs);
      return;
    }
    if (request.method !== "POST") throw new TollgateError("METHOD_NOT_ALLOWED", "Procedures are called with POST");
    const input = await readInput(
      request,
      procedure,
      await bodyLimit([procedure], ctx, options.bodyBytesMax ?? BODY_BYTES_MAX),
    );
    const { type } = procedure._def;
    const getRawInput = async (): Promise<unknown> => input;
    const data: unknown = await callProcedure(procedure, {
      path,
      type,
      ctx,
      getRawInput,
      signal: undefined,
      batchIndex: 0,
    });
    sendJson(response, 200, "application/json", data ?? null);
    options.onCall?.(path, undefined, startedAtMs);
  } catch (thrown) {
    if (thrown instanceof RequestAborted) throw thrown;
    const error = getTRPCErrorFromUnknown(thrown);
    options.onError?.({ error, path, ctx });
    if (procedure !== undefined) options.onCall?.(path, error, startedAtMs);
    if (!response.headersSent) sendProblem(response, toTollgateError(error), ctx.requestId, pathname);
  }
}

/** What a subscription is called with. */
interface StreamCall<Ctx> {
  readonly procedure: AnyTRPCProcedure;
  readonly path: string;
  readonly ctx: Ctx;
  readonly input: unknown;
}

/** A failure before the first message is a problem like any other; the status can still be told. */
async function answerStream<Router extends AnyTRPCRouter>(
  options: RestHandlerOptions<Router>,
  { procedure, path, ctx, input }: StreamCall<inferRouterContext<Router>>,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const getRawInput = async (): Promise<unknown> => input;
  const signal = gone.signal;
  const call = { path, type: "subscription" as const, ctx, getRawInput, signal, batchIndex: 0 };
  const messages = ((await callProcedure(procedure, call)) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  let first: IteratorResult<unknown>;
  try {
    first = await messages.next();
  } catch (error) {
    if (isEndOfStream(error)) throw unavailable("Connect again");
    throw error;
  }
  const { streamsAs } = (procedure._def.meta ?? {}) as ProcedureMeta;
  if (streamsAs !== undefined)
    return cutIfFails(response, streamText(messages, first, { response, contentType: streamsAs }));
  const onError = (thrown: unknown): void => options.onError?.({ error: getTRPCErrorFromUnknown(thrown), path, ctx });
  await streamEvents(messages, first, { response, requestId: ctx.requestId, onError });
}

/** What has begun cannot become a problem any more: the connection is cut, and the failure told to the log alone. */
async function cutIfFails(response: ServerResponse, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    response.destroy();
    throw error;
  }
}

/** The fields of a stream's input: in the address, because EventSource sends nothing else, or as the body of a POST. */
async function readStreamInput(
  request: IncomingMessage,
  procedure: AnyTRPCProcedure,
  url: string,
  bytesMax: number,
): Promise<unknown> {
  const lastEventId = request.headers["last-event-id"];
  const more = typeof lastEventId === "string" ? { lastEventId } : {};
  if (request.method === "POST") {
    const input = await readInput(request, procedure, bytesMax);
    return typeof input === "object" && input !== null && !Array.isArray(input) ? { ...more, ...input } : input;
  }
  if (request.method !== "GET") {
    throw new TollgateError("METHOD_NOT_ALLOWED", "Streams are opened with GET or POST");
  }
  const queryAt = url.indexOf("?");
  const fields = Object.fromEntries(new URLSearchParams(queryAt === -1 ? "" : url.slice(queryAt + 1)));
  const input = { ...more, ...fields };
  assertStorable(JSON.stringify(input), input);
  return input;
}

function noSuchProcedure(pathname: string): TollgateError {
  return new TollgateError("NOT_FOUND", `No procedure at ${pathname}`, { reason: "procedure_not_found" });
}

async function readInput(request: IncomingMessage, procedure: AnyTRPCProcedure, bytesMax: number): Promise<unknown> {
  const text = await readBody(request, bytesMax);
  // Nothing sent means no fields, where fields are taken at all.
  if (text === "") return inputsOf(procedure).length === 0 ? undefined : {};
  const contentType = request.headers["content-type"]?.toLowerCase().split(";", 1)[0]?.trim();
  if (contentType !== "application/json") {
    throw new TRPCError({ code: "UNSUPPORTED_MEDIA_TYPE", message: "The body must be application/json" });
  }
  const input = parseJson(text);
  assertStorable(text, input);
  return input;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TRPCError({ code: "BAD_REQUEST", message: "The body is not valid JSON", cause });
  }
}

/** The schemas of a procedure's input, which tRPC's public types do not show. */
export function inputsOf(procedure: AnyTRPCProcedure): readonly unknown[] {
  return (procedure._def as unknown as { inputs: readonly unknown[] }).inputs;
}

/** Answers an RFC 9457 problem, with the headers that its status asks for. */
export function sendProblem(response: ServerResponse, error: TollgateError, requestId: string, instance: string): void {
  const status = httpStatusOf(error);
  if (error.retryAfterSeconds !== undefined) response.setHeader("retry-after", Math.ceil(error.retryAfterSeconds));
  if (status === 401) response.setHeader("www-authenticate", 'Bearer realm="tollgate"');
  if (status === 405) response.setHeader("allow", "POST");
  const problem = toProblem(error, requestId, instance);
  const isOfWrongType = status === 415;
  sendJson(response, status, "application/problem+json", {
    ...problem,
    ...(isOfWrongType ? { status, title: "Unsupported media type" } : {}),
  });
}

function sendJson(response: ServerResponse, status: number, contentType: string, value: unknown): void {
  // An answer that cannot be written must fail before its head is sent.
  const body = toPlainJson(value);
  response.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
