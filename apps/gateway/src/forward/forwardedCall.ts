import type { IncomingMessage, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ERROR_CODES, newCallId } from "@tollgate/kernel";
import type { CallOutcome } from "@tollgate/services/metering";
import { formatFinishedCall } from "@tollgate/services/metering";
import { isTracing, nextTraceparent } from "@tollgate/telemetry";
import type { Refusal } from "../admission/refusal.ts";
import { REFUSALS } from "../admission/refusal.ts";
import type { Reservation } from "../admission/reserve.ts";
import { answerRefusal } from "../answer.ts";
import type { RoutedApi, RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import type { Gateway } from "../gateway.ts";
import type { Caller, UpstreamToken } from "../identity/caller.ts";
import { callerAddress } from "../identity/callerAddress.ts";
import type { RateTicket } from "../limits/callLimits.ts";
import { protocolWithout } from "../sockets/handshake.ts";
import type { SpoolWaiter } from "../spool/spool.ts";
import { BodyMeter } from "./bodyMeter.ts";
import { CallTrace } from "./callTrace.ts";
import { expectProgress } from "./expectProgress.ts";
import type { AnswerHead } from "./headers.ts";
import { hasHeader, readAnswerHead, requestHeaders } from "./headers.ts";
import { readKey, withoutKey } from "./target.ts";
import type { UpstreamHandler, UpstreamTarget } from "./upstreamPools.ts";

/**
 * A call on its way to the upstream and back. The answer streams as it comes, but its last byte (the end of the last
 * chunk, or the chunk that completes a known length) waits until the call is on file: what a client has received in full
 * has been recorded, whatever dies next.
 *
 * The object is itself the handler of the HTTP client, and the waiter of the spool, so that a call costs one object.
 */
const TOKEN_FRESH_MS = 30_000;
const TOKEN_LIFETIME_MS = 55_000;
const CLIENT_CLOSED_STATUS = 499;
const SMALL_BODY_BYTES = 4_096;
/** What a status line may hold (RFC 9112, section 4). An upstream may send anything; the HTTP server throws at the rest. */
const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;

type Phase = "waiting" | "streaming" | "recording" | "done";

/** What an instance answers for whom nothing stands behind; its other errors are its callers' or its own. */
const isGatewayFailure = (status: number): boolean => status >= 502 && status <= 504;

/** A request that came in, before anything is known of it. */
export interface Arrival {
  readonly gateway: Gateway;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Who calls what. */
export interface Route {
  readonly caller: Caller;
  readonly api: RoutedApi;
  readonly endpoint: RoutedEndpoint;
  readonly path: string;
}

export class ForwardedCall implements SpoolWaiter, UpstreamHandler {
  readonly #gateway: Gateway;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #callId: string;
  readonly #caller: Caller;
  readonly #route: Route;
  readonly #reservation: Reservation;
  readonly #ticket: RateTicket;
  readonly #holderId: string;
  readonly #startedAtMs: number;
  readonly #startedTick = performance.now();
  readonly #trace: CallTrace | undefined;

  #phase: Phase = "waiting";
  /** Whether the answer's head has gone out. */
  #hasBegun = false;
  #target: UpstreamTarget | undefined;
  #tries = 0;
  #isAtTarget = false;
  #abort: ((error?: Error) => void) | undefined;
  #resume: (() => void) | undefined;
  #body: BodyMeter | IncomingMessage | null = null;
  #status = 0;
  #statusMessage = "";
  #head: AnswerHead | undefined;
  #trailers: AnswerHead | undefined;
  #answerBytes = 0;
  #finalChunk: Buffer | undefined;
  #failure: Refusal | undefined;
  #chargedMicros = 0;
  #units = 1;
  /** The upstream's end of a WebSocket that it has taken. */
  #upstreamSocket: Socket | undefined;

  constructor(arrival: Arrival, route: Route, reservation: Reservation, ticket: RateTicket) {
    const { gateway, request, response } = arrival;
    this.#ticket = ticket;
    this.#gateway = gateway;
    this.#request = request;
    this.#response = response;
    this.#caller = route.caller;
    this.#route = route;
    this.#reservation = reservation;
    this.#holderId = gateway.holderId() ?? "";
    this.#startedAtMs = gateway.clock.nowMs();
    this.#callId = newCallId(this.#startedAtMs);
    this.#trace = isTracing() ? new CallTrace(request, this.#callId, route) : undefined;
  }

  start(): void {
    if (this.#response.destroyed || this.#request.socket.destroyed) {
      // The client left while its budgets were asked for: nothing was called, so there is nothing to record.
      this.#phase = "done";
      this.#giveBack(this.#reservation.amount);
      return;
    }
    this.#gateway.metrics.inFlight += 1;
    this.#expectClosing();
    this.#body = this.#requestBody();
    if (this.#body !== null) this.#expectProgress();
    const token = this.#caller.token(this.#route.api.name);
    const ageMs = token === undefined ? Number.POSITIVE_INFINITY : this.#startedAtMs - token.signedAtMs;
    if (token !== undefined && ageMs < TOKEN_FRESH_MS) {
      this.#dispatch(token);
      return;
    }
    const signing = this.#gateway.signUpstreamToken(this.#caller, this.#route.api.name);
    if (token !== undefined && ageMs < TOKEN_LIFETIME_MS) {
      signing.catch((error: unknown) => this.#gateway.logger.warn({ err: error }, "no new token for the upstream"));
      this.#dispatch(token);
      return;
    }
    signing.then(
      (fresh) => this.#dispatch(fresh),
      (error: unknown) => {
        this.#gateway.logger.warn({ err: error }, "no token for the upstream");
        this.#fail(REFUSALS.budgets);
      },
    );
  }

  #expectClosing(): void {
    const onClosed = (): void => this.#onClientClosed();
    this.#response.on("close", onClosed);
    if (this.#response.socket !== null) return;
    // An answer whose turn on the connection has not come is not told that the connection has ended.
    const { socket } = this.#request;
    socket.setMaxListeners(0);
    socket.on("close", onClosed);
    this.#response.once("close", () => socket.off("close", onClosed));
  }

  #dispatch(token: UpstreamToken): void {
    if (this.#phase !== "waiting") return;
    const { api, endpoint } = this.#route;
    const { headers: incoming, rawHeaders } = this.#request;
    const key = readKey(incoming.authorization);
    const path = withoutKey(this.#route.path, key);
    if (path === undefined) {
      this.#fail(REFUSALS.badPath);
      return;
    }
    const target = this.#gateway.upstreams.choose(api.name, api.upstreamUrls, this.#target);
    const { credentials } = api;
    if (target === undefined || credentials?.isSealed === true) {
      this.#fail(target === undefined ? REFUSALS.noUpstream : REFUSALS.credentials);
      return;
    }
    this.#target = target;
    this.#tries += 1;
    this.#abort = undefined;
    this.#isAtTarget = true;
    target.inFlight += 1;
    const headers = requestHeaders(rawHeaders, incoming.connection, key);
    headers.push(credentials?.tokenHeader ?? "authorization", token.authorization);
    headers.push(
      "traceparent",
      this.#trace?.traceparent ?? nextTraceparent(incoming["traceparent"] as string | undefined),
    );
    headers.push("tollgate-call-id", this.#callId);
    const request = {
      path: target.basePath + (credentials?.addToPath(path) ?? path),
      method: this.#request.method ?? "GET",
      headers: credentials?.addToHeaders(headers) ?? headers,
      body: this.#body,
      headersTimeout: endpoint.timeoutMs,
      upgrade: incoming.upgrade === undefined ? null : "websocket",
    };
    if (!target.dispatch(request, this)) this.#expectConnection(endpoint.timeoutMs);
  }

  /** All connections to the instance are taken: the time that an answer may take runs while the call waits for one, too. */
  #expectConnection(timeoutMs: number): void {
    const waiting = setTimeout(() => {
      if (this.#abort !== undefined || this.#phase !== "waiting") return;
      this.#leaveTarget();
      this.#fail(REFUSALS.timeout);
    }, timeoutMs);
    this.#response.once("close", () => clearTimeout(waiting));
  }

  #requestBody(): BodyMeter | IncomingMessage | null {
    const { headers } = this.#request;
    // The decision has been taken: now the client may send what it holds back until then.
    if (headers.expect !== undefined) this.#response.writeContinue();
    if (headers["transfer-encoding"] !== undefined) {
      const meter = new BodyMeter(this.#route.endpoint.bodyBytesMax);
      this.#request.pipe(meter);
      this.#request.on("error", (error) => meter.destroy(error));
      return meter;
    }
    const length = headers["content-length"];
    return length === undefined || length === "0" ? null : this.#request;
  }

  // What the HTTP client calls.

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort;
    if (this.#phase === "done" || this.#phase === "recording") abort();
  }

  onHeaders(
    status: number,
    rawHeaders: readonly (Buffer | string)[],
    resume: () => void,
    statusMessage: string,
  ): boolean {
    if (status < 200) return true;
    this.#resume = resume;
    this.#status = status;
    this.#statusMessage =
      statusMessage === STATUS_CODES[status] || !REASON_PHRASE.test(statusMessage) ? "" : statusMessage;
    this.#head = readAnswerHead(rawHeaders);
    if (isGatewayFailure(status)) this.#target?.failed();
    else this.#target?.succeeded();
    // A stream's head goes out at once, even if its first event takes its time. A body of known length comes along with it.
    if (this.#head.contentLength < 0) setImmediate(() => this.#flushHead());
    return true;
  }

  /** The upstream has taken the WebSocket. The open is a call: it is on file before the client hears of it. */
  onUpgrade(status: number, rawHeaders: readonly (Buffer | string)[], socket: Socket): void {
    this.#upstreamSocket = socket;
    this.#target?.succeeded();
    if (this.#phase === "done" || this.#phase === "recording") {
      this.#leaveSocket();
      return;
    }
    this.#status = status;
    this.#head = readAnswerHead(rawHeaders);
    this.#settle(status);
    this.#record(status);
  }

  onData(chunk: Buffer): boolean {
    this.#answerBytes += chunk.length;
    if (this.#phase === "done" || this.#phase === "recording") return true;
    const contentLength = this.#head?.contentLength ?? -1;
    if (contentLength >= 0 && this.#answerBytes >= contentLength) {
      this.#finalChunk = chunk;
      return true;
    }
    if (this.#phase === "waiting") this.#beginStreaming();
    const isFlowing = this.#response.write(chunk);
    if (!isFlowing) {
      this.#response.once("drain", () => this.#resume?.());
      this.#expectProgress();
    }
    return isFlowing;
  }

  onComplete(rawTrailers: readonly (Buffer | string)[] | null): void {
    if (rawTrailers !== null && rawTrailers.length > 0) this.#trailers = readAnswerHead(rawTrailers);
    this.#leaveTarget();
    if (this.#phase === "done" || this.#phase === "recording") return;
    this.#settle(this.#status);
    this.#record(this.#status);
  }

  onError(error: Error): void {
    this.#leaveTarget();
    if (this.#phase === "done" || this.#phase === "recording") return;
    if (this.#response.destroyed || this.#request.errored !== null) {
      this.#onClientClosed();
      return;
    }
    const code = (error as { code?: string }).code ?? "";
    this.#gateway.logger.debug({ err: error, callId: this.#callId }, "upstream failed");
    if (code === "BODY_TOO_LARGE") this.#failTooLarge();
    else if (code === "INVALID_REQUEST" || code === "UND_ERR_INVALID_ARG") this.#fail(REFUSALS.badPath);
    else if (this.#head !== undefined) this.#fail(REFUSALS.unreachable);
    else this.#retryOrFail(code);
  }

  /** An answer that has begun was earned: the call ends as if its client had left. */
  #failTooLarge(): void {
    if (this.#head === undefined) {
      this.#fail(REFUSALS.tooLarge);
      return;
    }
    this.#response.destroy();
    this.#onClientClosed();
  }

  #retryOrFail(code: string): void {
    this.#target?.failed();
    const token = this.#caller.token(this.#route.api.name);
    // An upstream that takes too long has the call already, and the caller has waited as long as it was told.
    const isTooSlow = code.endsWith("TIMEOUT") && !code.endsWith("CONNECT_TIMEOUT");
    if (isTooSlow) this.#fail(REFUSALS.timeout);
    else if (token !== undefined && this.#mayRetry()) this.#dispatch(token);
    else this.#fail(REFUSALS.unreachable);
  }

  /**
   * Once, on another instance if there is one, for methods that may be repeated and have no body to send again. What changes
   * something only if nothing of it has gone out.
   */
  #mayRetry(): boolean {
    const { method } = this.#request;
    if (this.#tries !== 1 || this.#body !== null) return false;
    if (method === "GET" || method === "HEAD" || method === "OPTIONS") return true;
    return (method === "PUT" || method === "DELETE") && this.#abort === undefined;
  }

  #leaveTarget(): void {
    if (!this.#isAtTarget || this.#target === undefined) return;
    this.#isAtTarget = false;
    this.#target.inFlight -= 1;
  }

  // What it costs.

  /** Settles the reservation: what the call costs is drawn, the rest goes back. */
  #settle(status: number): void {
    const { outcome, amount, unitPriceMicros } = this.#reservation;
    if (this.#isFree(status)) {
      this.#giveBack(amount);
      return;
    }
    this.#units = this.#countUnits();
    if (outcome !== "charged") return;
    this.#chargedMicros = unitPriceMicros * this.#units;
    if (this.#chargedMicros < amount) this.#giveBack(amount - this.#chargedMicros);
  }

  /** An upstream failure costs nothing; a refusal by the upstream costs only where the endpoint says so. */
  #isFree(status: number): boolean {
    return status >= 500 || (status >= 400 && !this.#route.endpoint.isChargedOn4xx);
  }

  #giveBack(amount: number): void {
    for (const slice of this.#reservation.slices) this.#gateway.budgets.giveBack(slice, amount, this.#holderId);
  }

  /** Never more units than were set aside: the caller agreed to no more. */
  #countUnits(): number {
    const { unit } = this.#route.endpoint;
    const unitsMax = this.#unitsReserved();
    switch (unit) {
      case "call":
        return 1;
      case "byte":
        return Math.min(this.#answerBytes, unitsMax);
      case "millisecond":
        return Math.min(Math.ceil(performance.now() - this.#startedTick), unitsMax);
      default: {
        // An upstream that streams may know only at the end; what it says last counts.
        const stated = this.#trailers?.units ?? -1;
        const units = stated >= 0 ? stated : (this.#head?.units ?? -1);
        return units < 0 ? unitsMax : Math.min(units, unitsMax);
      }
    }
  }

  /** A free call over the month's free calls sets one unit aside, whatever it is measured in. */
  #unitsReserved(): number {
    const { outcome, amount, unitPriceMicros } = this.#reservation;
    return outcome === "charged" && unitPriceMicros > 0 ? amount / unitPriceMicros : this.#route.endpoint.unitsMax;
  }

  // What is written down.

  #record(status: number): void {
    // From here on nothing may end the call once more, however long the spool takes.
    this.#phase = "recording";
    const { outcome: reserved, slices, amount, unitPriceMicros } = this.#reservation;
    const isFailure = this.#failure !== undefined || status >= 500 || status === CLIENT_CLOSED_STATUS;
    const isFree = isFailure || this.#isFree(status);
    const outcome: CallOutcome = isFailure ? "failed" : isFree ? "uncharged" : reserved;
    const latencyMs = Math.round(performance.now() - this.#startedTick);
    let draws = "";
    if (!isFree) {
      const drawn = reserved === "charged" ? this.#chargedMicros : amount;
      for (const slice of drawn > 0 ? slices : []) draws += (draws === "" ? "" : ",") + slice.drawText(drawn);
    }
    const subject = this.#caller.recordSubject(this.#holderId, this.#route.endpoint.id);
    const units = isFree ? 0 : this.#units;
    const price = reserved === "charged" ? unitPriceMicros : 0;
    const record = formatFinishedCall(subject, {
      id: this.#callId,
      outcome,
      status,
      latencyMs,
      units,
      unitPriceMicros: price,
      chargedMicros: this.#chargedMicros,
      requestBytes: this.#requestBytes(),
      responseBytes: this.#answerBytes,
      draws,
    });
    this.#gateway.metrics.inFlight -= 1;
    this.#gateway.metrics.countCall(outcome, latencyMs);
    this.#trace?.end(outcome, status, this.#tries);
    this.#gateway.spool.append(this.#caller.partition, record, this);
  }

  #requestBytes(): number {
    if (this.#body instanceof BodyMeter) return this.#body.bytes;
    return this.#body === null ? 0 : Number(this.#request.headers["content-length"]);
  }

  onRecorded(): void {
    this.#phase = "done";
    if (this.#failure !== undefined) {
      if (this.#hasBegun) this.#response.destroy();
      else
        answerRefusal(this.#response, this.#failure, this.#callId, (this.#request.url ?? "/").split("?", 1)[0] ?? "/");
      return;
    }
    if (this.#upstreamSocket !== undefined) {
      this.#openSocket(this.#upstreamSocket);
      return;
    }
    if (this.#response.destroyed) return;
    if (!this.#hasBegun) this.#writeHead(true);
    else this.#addTrailers();
    const chunk = this.#finalChunk;
    // A small body leaves in one piece with its head: as text of the same bytes, which node puts behind the head's text.
    if (chunk !== undefined && !this.#hasBegun && chunk.length <= SMALL_BODY_BYTES) {
      this.#response.end(chunk.toString("latin1"), "latin1");
    } else {
      this.#response.end(chunk);
    }
  }

  onRecordFailed(): void {
    this.#phase = "done";
    this.#response.destroy();
    this.#leaveSocket();
  }

  /** Tells the client that its WebSocket is open, and hands both ends on. */
  #openSocket(upstream: Socket): void {
    const { socket: client } = this.#request;
    const headers = this.#head?.headers ?? [];
    const target = this.#target;
    if (this.#response.destroyed || target === undefined) {
      this.#leaveSocket();
      return;
    }
    const protocol = hasHeader(headers, "sec-websocket-protocol") ? undefined : protocolWithout(this.#request);
    if (protocol !== undefined) headers.push("Sec-WebSocket-Protocol", protocol);
    const isCompressed = hasHeader(headers, "sec-websocket-extensions");
    headers.push("Connection", "Upgrade", "Upgrade", "websocket");
    this.#writeHead(true);
    this.#response.end();
    this.#response.detachSocket(client);
    const key = readKey(this.#request.headers.authorization) ?? "";
    const { api, endpoint } = this.#route;
    this.#gateway.sockets.open(this.#gateway, {
      client,
      upstream,
      target,
      key,
      address: callerAddress(this.#request, this.#gateway.trustedProxyHops),
      caller: this.#caller,
      api,
      endpoint,
      isCompressed,
    });
  }

  #leaveSocket(): void {
    this.#upstreamSocket?.destroy();
    this.#leaveTarget();
  }

  // What the client gets.

  #beginStreaming(): void {
    this.#phase = "streaming";
    this.#hasBegun = true;
    this.#writeHead(false);
  }

  #flushHead(): void {
    if (this.#phase !== "waiting" || this.#response.destroyed) return;
    this.#beginStreaming();
    this.#response.flushHeaders();
  }

  /** Whether the price is known only when the last byte has come. */
  #isMeasured(): boolean {
    const { endpoint } = this.#route;
    if (this.#reservation.outcome !== "charged") return false;
    if (endpoint.isMeasured) return true;
    // The upstream has not counted yet, and may still do so in a trailer.
    const head = this.#head;
    return endpoint.unit !== "call" && head !== undefined && head.units < 0 && head.contentLength < 0;
  }

  #addTrailers(): void {
    const trailers: [string, string][] = [];
    const { headers } = this.#trailers ?? { headers: [] };
    for (let index = 0; index < headers.length; index += 2) {
      trailers.push([headers[index] as string, headers[index + 1] as string]);
    }
    if (this.#isMeasured()) trailers.push(["Tollgate-Price", String(this.#chargedMicros)]);
    if (trailers.length > 0) this.#response.addTrailers(trailers);
  }

  #writeHead(isComplete: boolean): void {
    const head = this.#head;
    if (head === undefined) return;
    const { headers } = head;
    headers.push("Tollgate-Call-Id", this.#callId);
    const isMeasured = !isComplete && this.#isMeasured();
    if (!isMeasured) headers.push("Tollgate-Price", String(isComplete ? this.#chargedMicros : this.#expectedPrice()));
    else if (head.contentLength < 0) headers.push("Trailer", "Tollgate-Price");
    const { wallet } = this.#caller;
    if (wallet !== undefined && wallet.askedAtMs > 0)
      headers.push("Tollgate-Balance", String(wallet.available + wallet.remaining));
    const { limits } = this.#caller;
    headers.push("RateLimit-Policy", limits.policy);
    headers.push("RateLimit", limits.remainingText(this.#gateway.rates.tick()));
    for (const part of this.#route.api.deprecationHeaders) headers.push(part);
    if (this.#statusMessage === "") this.#response.writeHead(this.#status, headers);
    else this.#response.writeHead(this.#status, this.#statusMessage, headers);
  }

  #expectedPrice(): number {
    if (this.#reservation.outcome !== "charged" || this.#isFree(this.#status)) return 0;
    return this.#reservation.unitPriceMicros * this.#countUnits();
  }

  // What goes wrong.

  /**
   * The upstream failed: nothing is charged, everything set aside goes back, and the failure is in the usage. A call that
   * turned out not to be fit to forward is a refusal, which is not.
   */
  #fail(refusal: Refusal): void {
    if (this.#phase === "done" || this.#phase === "recording") return;
    this.#failure = refusal;
    this.#chargedMicros = 0;
    this.#giveBack(this.#reservation.amount);
    // It was not passed on: a call that is refused does not use its rate limits up.
    if (this.#tries === 0 || refusal === REFUSALS.badPath) this.#ticket.giveBack();
    const { status } = ERROR_CODES[refusal.code];
    if (status >= 500) {
      this.#record(status);
      return;
    }
    this.#gateway.metrics.inFlight -= 1;
    this.#gateway.metrics.countRefusal(refusal.reason);
    this.#trace?.end(refusal.reason, status, this.#tries);
    this.onRecorded();
  }

  /** A client that stands still is given up: it has an answer if none has begun, and then its connection ends. */
  #expectProgress(): void {
    expectProgress(this.#request, this.#response, this.#gateway.stallMs, (what) => {
      if (what === "answer" || this.#phase !== "waiting" || this.#head !== undefined) {
        this.#response.destroy();
        return;
      }
      this.#fail(REFUSALS.bodyStalled);
      this.#abort?.(new Error("The body does not come"));
    });
  }

  /** The client is gone. If the upstream had answered, the call was served and is charged; else it is given up. */
  #onClientClosed(): void {
    if (this.#phase === "done" || this.#phase === "recording") return;
    const wasAnswered = this.#head !== undefined;
    const status = wasAnswered ? this.#status : CLIENT_CLOSED_STATUS;
    if (wasAnswered) this.#settle(status);
    else this.#giveBack(this.#reservation.amount);
    this.#record(status);
    this.#abort?.(new Error("The client is gone"));
  }
}
