import type { Readable } from "node:stream";
import { SpanKind, withStep } from "@tollgate/telemetry";
import type { Dispatcher } from "undici";
import { Agent, request } from "undici";
import type { Network } from "./addresses.ts";
import { parseNetworks } from "./addresses.ts";
import type { ResolveHost } from "./guardedConnector.ts";
import { createGuardedConnector, createResolveHost } from "./guardedConnector.ts";
import { OutboundError } from "./outboundError.ts";
import { parseOutboundUrl } from "./outboundUrl.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 15_000;
const RESPONSE_BYTES_MAX = 16_384;
const CONNECTIONS_PER_ORIGIN_MAX = 32;
const KEEP_ALIVE_MS = 4_000;
const USER_AGENT = "Tollgate/1";

export interface OutboundRequest {
  readonly url: string;
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** From the first packet to the end of the answer. */
  readonly timeoutMs?: number;
  /** How much of the answer's body is read; the rest is not waited for. */
  readonly responseBytesMax?: number;
}

export interface OutboundResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As UTF-8, up to the limit. */
  readonly body: string;
  readonly isTruncated: boolean;
}

/** Whatever sends a request to a URL that somebody else has named. */
export interface Outbound {
  send(request: OutboundRequest): Promise<OutboundResponse>;
}

/**
 * HTTP to URLs that customers and publishers name. It reaches public addresses over HTTPS and nothing else (see
 * addresses.ts), follows no redirect, waits a bounded time for a bounded answer, and one slow host holds up no other: each
 * has connections of its own.
 */
export class OutboundClient implements Outbound {
  readonly #allowed: readonly Network[];
  readonly #agent: Agent;

  /** `allowedNetworks`: networks that may be reached although they are not public, over plain HTTP as well. @throws Error for text that is no network */
  constructor(options: { readonly allowedNetworks?: readonly string[]; readonly resolveHost?: ResolveHost } = {}) {
    this.#allowed = parseNetworks(options.allowedNetworks ?? []);
    this.#agent = new Agent({
      connect: createGuardedConnector({
        allowed: this.#allowed,
        resolveHost: options.resolveHost ?? createResolveHost(),
        timeoutMs: CONNECT_TIMEOUT_MS,
      }),
      connections: CONNECTIONS_PER_ORIGIN_MAX,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
    });
  }

  /**
   * Sends one request; any answer is an answer, whatever its status.
   * @throws OutboundError when there was none, or the URL may not be called
   */
  async send(outgoing: OutboundRequest): Promise<OutboundResponse> {
    const url = parseOutboundUrl(outgoing.url, this.#allowed);
    const method = outgoing.method ?? "POST";
    // Neither the path nor the trace: either is the customer's, or would tell them of us.
    const attributes = { "http.request.method": method, "server.address": url.hostname };
    return withStep(method, { kind: SpanKind.CLIENT, attributes }, () => this.#send(url, { ...outgoing, method }));
  }

  async #send(
    url: URL,
    outgoing: OutboundRequest & { readonly method: NonNullable<OutboundRequest["method"]> },
  ): Promise<OutboundResponse> {
    const signal = AbortSignal.timeout(outgoing.timeoutMs ?? TIMEOUT_MS);
    let answer: Dispatcher.ResponseData;
    try {
      answer = await request(url, {
        dispatcher: this.#agent,
        method: outgoing.method,
        headers: { "user-agent": USER_AGENT, ...outgoing.headers },
        body: outgoing.body ?? null,
        signal,
      });
    } catch (error) {
      throw toOutboundError(error);
    }
    const read = await readSome(answer.body, outgoing.responseBytesMax ?? RESPONSE_BYTES_MAX);
    return { status: answer.statusCode, headers: answer.headers, ...read };
  }

  /** Ends the requests at hand and closes the connections. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** What of a body arrives in time. The status has said what became of the request: a body that breaks off changes nothing. */
async function readSome(body: Readable, bytesMax: number): Promise<{ body: string; isTruncated: boolean }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isTruncated = false;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > bytesMax) {
        isTruncated = true;
        break;
      }
    }
  } catch {
    isTruncated = true;
  }
  return { body: Buffer.concat(chunks).subarray(0, bytesMax).toString("utf8"), isTruncated };
}

const TIMEOUT_CODES = ["UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "ETIMEDOUT"];

function toOutboundError(error: unknown): OutboundError {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof OutboundError) return current;
    const { code } = current as { code?: unknown };
    if (current.name === "TimeoutError" || (typeof code === "string" && TIMEOUT_CODES.includes(code))) {
      return new OutboundError("timed_out", undefined, { cause: error });
    }
  }
  const { code } = error as { code?: unknown };
  return new OutboundError("connection_failed", typeof code === "string" ? code : undefined, { cause: error });
}
