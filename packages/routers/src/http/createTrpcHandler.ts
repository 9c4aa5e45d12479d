import type { IncomingMessage, ServerResponse } from "node:http";
import type { AnyTRPCProcedure, AnyTRPCRouter, inferRouterContext } from "@trpc/server";
import { getTRPCErrorFromUnknown, getTRPCErrorShape, TRPCError } from "@trpc/server";
import { nodeHTTPRequestHandler } from "@trpc/server/adapters/node-http";
import { getHTTPStatusCode } from "@trpc/server/http";
import type { TRPCResponse } from "@trpc/server/rpc";
import { bodyLimit } from "./bodyLimit.ts";
import { callProcedure } from "./callProcedure.ts";
import type { TrpcCall, TrpcInputs } from "./calls.ts";
import { acceptedMethod, assertOneType, readInputs } from "./calls.ts";
import { procedureMap } from "./procedureMap.ts";
import { RequestAborted } from "./readBody.ts";

/**
 * tRPC over node's HTTP server, without the detour of the stock adapters over fetch's Request, Headers and Response,
 * which is most of what a small call costs there. Queries, mutations and batches of them are answered here, byte for
 * byte in tRPC 11's format (the parity tests hold it to that); what is rare or streams (subscriptions, JSONL batches,
 * form data, connection parameters) is handed to the stock adapter.
 */
export interface TrpcHandlerOptions<Router extends AnyTRPCRouter> {
  readonly router: Router;
  /** What comes before the procedure's name in the path, with both slashes. */
  readonly prefix: string;
  /** Called once a request, before anything that can fail. */
  createContext(request: IncomingMessage, response: ServerResponse): inferRouterContext<Router>;
  /** Told of every failed call. Must not throw. */
  onError?(failure: FailedCall<inferRouterContext<Router>>): void;
  /** Told of every call that was answered, for metrics. Must not throw. */
  onCall?(path: string, error: TRPCError | undefined, startedAtMs: number): void;
  readonly bodyBytesMax?: number;
  readonly batchCallsMax?: number;
}

export interface FailedCall<Ctx> {
  readonly error: TRPCError;
  readonly path: string | undefined;
  readonly ctx: Ctx | undefined;
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

const BODY_BYTES_MAX = 1024 * 1024;
const BATCH_CALLS_MAX = 100;

/** A handler of everything under the prefix. It answers every request and never throws. */
export function createTrpcHandler<Router extends AnyTRPCRouter>(options: TrpcHandlerOptions<Router>): RequestHandler {
  const binding = new TrpcBinding(options);
  return (request, response) => {
    binding.handle(request, response).catch((error: unknown) => {
      // Nobody is there to be answered, or the answer itself cannot be written any more.
      if (!(error instanceof RequestAborted)) {
        options.onError?.({ error: getTRPCErrorFromUnknown(error), path: undefined, ctx: undefined });
      }
      response.destroy();
    });
  };
}

class TrpcBinding<Router extends AnyTRPCRouter> {
  readonly #options: TrpcHandlerOptions<Router>;
  readonly #procedures: ReadonlyMap<string, AnyTRPCProcedure>;
  readonly #bodyBytesMax: number;
  readonly #batchCallsMax: number;

  constructor(options: TrpcHandlerOptions<Router>) {
    this.#options = options;
    this.#procedures = procedureMap(options.router);
    this.#bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    this.#batchCallsMax = options.batchCallsMax ?? BATCH_CALLS_MAX;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A load balancer's probe; the stock adapters answer it like this.
    if (request.method === "HEAD") return void response.writeHead(204).end();
    const url = request.url ?? "";
    const queryAt = url.indexOf("?");
    const rawPath = url.slice(this.#options.prefix.length, queryAt === -1 ? undefined : queryAt);
    const search = queryAt === -1 ? "" : url.slice(queryAt + 1);
    if (isForStockAdapter(request, search) || this.#procedures.get(rawPath)?._def.type === "subscription") {
      return this.#handleByStockAdapter(request, response, rawPath);
    }
    const ctx = this.#options.createContext(request, response);
    let calls: TrpcCall[];
    const query = new URLSearchParams(search);
    const isBatch = query.get("batch") === "1";
    try {
      assertJson(request);
      calls = this.#findCalls(decodePath(rawPath), isBatch);
    } catch (error) {
      return this.#answerFailedRequest(response, ctx, error);
    }
    const procedures = calls.map(({ procedure }) => procedure);
    const bodyBytesMax = await bodyLimit(procedures, ctx, this.#bodyBytesMax);
    const inputs = await readInputs(request, query, { calls, isBatch, bodyBytesMax });
    await this.#answer(request, response, { ctx, calls, inputs, isBatch });
  }

  #findCalls(path: string, isBatch: boolean): TrpcCall[] {
    const paths = isBatch ? path.split(",") : [path];
    if (paths.length > this.#batchCallsMax) {
      throw new TRPCError({ code: "BAD_REQUEST", message: "Batch call exceeds maximum size" });
    }
    const calls = paths.map((path) => ({ path, procedure: this.#procedures.get(path) }));
    assertOneType(calls);
    return calls;
  }

  async #answer(request: IncomingMessage, response: ServerResponse, batch: Batch<Router>): Promise<void> {
    const { calls, isBatch, ctx } = batch;
    const errors: (TRPCError | undefined)[] = new Array(calls.length);
    try {
      const results = isBatch
        ? await Promise.all(calls.map((_, index) => this.#call(request, response, batch, index, errors)))
        : [await this.#call(request, response, batch, 0, errors)];
      for (const [index, result] of results.entries()) {
        if ("error" in result || !isStreamLike(result.result.data)) continue;
        const error = streamRefused();
        if (!isBatch) throw error;
        const { path, procedure } = calls[index] as TrpcCall;
        errors[index] = error;
        results[index] = { error: this.#shape(error, { path, type: procedure?._def.type ?? "unknown", ctx }) };
      }
      const status = errors.every((error) => error === undefined) ? 200 : getHTTPStatusCode(results, errors);
      const transformed = results.map((result) => this.#transform(result));
      send(response, status, JSON.stringify(isBatch ? transformed : transformed[0]));
    } catch (error) {
      // An answer that cannot be serialized fails the request as a whole.
      this.#answerFailedRequest(response, ctx, error);
    }
  }

  /** Runs one call; a failure is noted in `errors` and becomes the call's own part of the answer. */
  async #call(
    request: IncomingMessage,
    response: ServerResponse,
    batch: Batch<Router>,
    index: number,
    errors: (TRPCError | undefined)[],
  ): Promise<TRPCResponse> {
    const { ctx, calls, inputs } = batch;
    const { path, procedure } = calls[index] as TrpcCall;
    const startedAtMs = performance.now();
    try {
      if (procedure === undefined) {
        throw new TRPCError({ code: "NOT_FOUND", message: `No procedure found on path "${path}"` });
      }
      const { type } = procedure._def;
      if (request.method !== acceptedMethod(type)) {
        // A 405 must say what is accepted (RFC 9110, 15.5.6).
        response.setHeader("allow", acceptedMethod(type));
        throw new TRPCError({
          code: "METHOD_NOT_SUPPORTED",
          message: `Unsupported ${request.method}-request to ${type} procedure at path "${path}"`,
        });
      }
      const data: unknown = await callProcedure(procedure, {
        path,
        type,
        ctx,
        getRawInput: () => inputs.read(this.#options.router, index),
        // A call runs to its end although its client has gone: a change is made whole or not at all by its transaction.
        signal: undefined,
        batchIndex: index,
      });
      this.#options.onCall?.(path, undefined, startedAtMs);
      return { result: { data } };
    } catch (thrown) {
      const error = getTRPCErrorFromUnknown(thrown);
      errors[index] = error;
      this.#options.onError?.({ error, path, ctx });
      if (procedure !== undefined) this.#options.onCall?.(path, error, startedAtMs);
      const type = procedure?._def.type ?? "unknown";
      return { error: this.#shape(error, { path, type, ctx }) };
    }
  }

  /** The request failed before its calls could be told apart, or its answer cannot be written. */
  #answerFailedRequest(response: ServerResponse, ctx: inferRouterContext<Router>, thrown: unknown): void {
    const error = getTRPCErrorFromUnknown(thrown);
    this.#options.onError?.({ error, path: undefined, ctx });
    const failed: TRPCResponse = { error: this.#shape(error, { path: undefined, type: "unknown", ctx }) };
    send(response, getHTTPStatusCode(failed, [error]), JSON.stringify(this.#transform(failed)));
  }

  #shape(
    error: TRPCError,
    about: {
      path: string | undefined;
      type: AnyTRPCProcedure["_def"]["type"] | "unknown";
      ctx: inferRouterContext<Router>;
    },
  ): Extract<TRPCResponse, { error: unknown }>["error"] {
    return getTRPCErrorShape({ config: this.#options.router._def._config, error, input: undefined, ...about });
  }

  #transform(answer: TRPCResponse): unknown {
    const { output } = this.#options.router._def._config.transformer;
    return "error" in answer
      ? { error: output.serialize(answer.error) }
      : { result: { data: output.serialize(answer.result.data) } };
  }

  async #handleByStockAdapter(request: IncomingMessage, response: ServerResponse, rawPath: string): Promise<void> {
    const { router, createContext, onError } = this.#options;
    await nodeHTTPRequestHandler<Router, IncomingMessage, ServerResponse>({
      router,
      req: request,
      res: response,
      path: rawPath,
      maxBodySize: this.#bodyBytesMax,
      maxBatchSize: this.#batchCallsMax,
      createContext: async () => createContext(request, response),
      onError: ({ error, path, ctx }) => onError?.({ error, path, ctx }),
    });
  }
}

interface Batch<Router extends AnyTRPCRouter> {
  readonly ctx: inferRouterContext<Router>;
  readonly calls: readonly TrpcCall[];
  readonly inputs: TrpcInputs;
  readonly isBatch: boolean;
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    vary: "trpc-accept, accept",
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

function isForStockAdapter(request: IncomingMessage, search: string): boolean {
  const { headers } = request;
  if (headers["trpc-accept"] !== undefined) return true;
  if (headers.accept?.includes("application/jsonl") === true) return true;
  if (search.includes("connectionParams=")) return true;
  const contentType = headers["content-type"];
  return contentType !== undefined && /^\s*(multipart\/form-data|application\/octet-stream)\s*(;|$)/i.test(contentType);
}

/** A GET needs no content type, so that it can be opened in a browser. */
function assertJson(request: IncomingMessage): void {
  const contentType = request.headers["content-type"];
  if (contentType === "application/json" || request.method === "GET") return;
  if (contentType?.toLowerCase().split(";", 1)[0]?.trim() === "application/json") return;
  throw new TRPCError({
    code: "UNSUPPORTED_MEDIA_TYPE",
    message: contentType === undefined ? "Missing content-type header" : `Unsupported content-type "${contentType}`,
  });
}

/** What streams cannot be answered as one piece of JSON; clients that want it ask for JSONL. */
function isStreamLike(data: unknown): boolean {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return false;
  return (
    isAsyncIterable(data) || Object.values(data).some((value) => value instanceof Promise || isAsyncIterable(value))
  );
}

const isAsyncIterable = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

const streamRefused = (): TRPCError =>
  new TRPCError({
    code: "UNSUPPORTED_MEDIA_TYPE",
    message: "Cannot use stream-like response in non-streaming request - use httpBatchStreamLink",
  });

function decodePath(rawPath: string): string {
  const path = rawPath.endsWith("/") ? rawPath.slice(0, -1) : rawPath;
  if (!path.includes("%")) return path;
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new TRPCError({ code: "BAD_REQUEST", message: `Invalid URL-encoding in path "${path}"`, cause });
  }
}
