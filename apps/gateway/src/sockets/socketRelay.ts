import type { Socket } from "node:net";
import { ERROR_CODES } from "@tollgate/kernel";
import type { Refusal } from "../admission/refusal.ts";
import type { Reservation } from "../admission/reserve.ts";
import type { RoutedApi, RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import type { UpstreamTarget } from "../forward/upstreamPools.ts";
import type { Gateway } from "../gateway.ts";
import type { Caller } from "../identity/caller.ts";
import type { Piece } from "./frames.ts";
import { closeFrame, controlFrame, controlPayload, FrameError, FrameReader, OPCODES } from "./frames.ts";
import { MessageCall } from "./messageCall.ts";
import type { SocketGroup } from "./socketGroup.ts";

/** Both ends of a WebSocket after its handshake, and what it was opened for. */
export interface OpenedSocket {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly target: UpstreamTarget;
  readonly key: string;
  readonly caller: Caller;
  readonly api: RoutedApi;
  readonly endpoint: RoutedEndpoint;
  readonly isCompressed: boolean;
}

/** A side that has been silent for so long is asked whether it is there, and given up after as long again. */
const PING_AFTER_MS = 30_000;
/** How long a closing handshake may take. */
const CLOSING_MS = 2_000;
const PING_PAYLOAD = Buffer.from("tollgate");
const CLIENT_CLOSED_STATUS = 499;

/** Close codes: the standard ones (RFC 6455, section 7.4), and 4000 and the HTTP status for what HTTP would refuse. */
const GOING_AWAY = 1001;
const BAD_GATEWAY = 1014;
const INTERNAL_ERROR = 1011;
const TOO_BIG = 1009;
const REFUSED_BASE = 4_000;

/** Where a socket's listeners find their relay: functions that are shared, rather than ten closures a socket. */
const RELAY = Symbol("relay");
type RelayedSocket = Socket & { [RELAY]?: SocketRelay };

/**
 * A WebSocket between its client and its upstream. Frames pass as they are, in order, and no faster than the slower side
 * takes them; nothing is gathered, unmasked or compressed here. Where each message is a call, a message waits to be
 * admitted before its first byte goes on, and to be on file before its last.
 */
export class SocketRelay {
  readonly client: RelayedSocket;
  readonly #upstream: RelayedSocket;
  readonly #gateway: Gateway;
  readonly #group: SocketGroup;
  readonly #target: UpstreamTarget;
  readonly #onClosed: () => void;
  readonly #fromClient: FrameReader;
  readonly #fromUpstream: FrameReader;
  #message: MessageCall | undefined;
  #messageBytes = 0;
  /** A message is being decided or recorded: nothing of the client's goes on before it. */
  #isHeld = false;
  /** The gateway shuts down: what the client sends is for whoever comes after. */
  #takesNoMore = false;
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #closeByMs = Number.POSITIVE_INFINITY;
  #isCloseSentToClient = false;
  #isCloseSentToUpstream = false;
  #isOver = false;
  #clientHeardAtMs: number;
  #upstreamHeardAtMs: number;
  #forwardedAtMs: number;
  #pingedAtMs: number;

  constructor(gateway: Gateway, group: SocketGroup, opened: OpenedSocket, onClosed: () => void) {
    const { isCompressed: mayCompress } = opened;
    this.client = opened.client;
    this.#upstream = opened.upstream;
    this.#target = opened.target;
    this.#gateway = gateway;
    this.#group = group;
    this.#onClosed = onClosed;
    this.#fromClient = new FrameReader({ isMasked: true, mayCompress });
    this.#fromUpstream = new FrameReader({ isMasked: false, mayCompress });
    this.#clientHeardAtMs = gateway.clock.nowMs();
    this.#upstreamHeardAtMs = this.#clientHeardAtMs;
    this.#forwardedAtMs = this.#clientHeardAtMs;
    this.#pingedAtMs = this.#clientHeardAtMs;
  }

  start(): void {
    const { client } = this;
    client[RELAY] = this;
    this.#upstream[RELAY] = this;
    client.on("data", onClientData).on("drain", onClientDrain).on("end", onClientEnd).on("close", onClientEnd);
    this.#upstream.on("data", onUpstreamData).on("drain", onUpstreamDrain);
    this.#upstream.on("end", onUpstreamEnd).on("close", onUpstreamEnd).on("error", onError);
    client.resume();
    this.#upstream.resume();
  }

  /** Looks after what no event tells of: peers that are gone without a word, and closes that are not answered. */
  tick(nowMs: number): void {
    if (nowMs >= this.#closeByMs) {
      this.destroy();
      return;
    }
    if (this.#closing !== undefined) return;
    const lostAtMs = nowMs - 2 * PING_AFTER_MS;
    if (this.#clientHeardAtMs < lostAtMs && !this.client.isPaused()) this.client.destroy();
    else if (this.#upstreamHeardAtMs < lostAtMs && !this.#upstream.isPaused()) this.#upstream.destroy();
    else if (nowMs - this.#pingedAtMs >= PING_AFTER_MS) this.#ping(nowMs);
  }

  isQuietFor(ms: number, nowMs: number): boolean {
    return !this.#isHeld && nowMs - Math.max(this.#upstreamHeardAtMs, this.#forwardedAtMs) >= ms;
  }

  stopTaking(): void {
    this.#takesNoMore = true;
    this.#forwardedAtMs = this.#gateway.clock.nowMs();
    this.#flow();
  }

  /** What HTTP would have refused closes the socket: 4000 and the status, with the refusal's code as the reason. */
  refuse(refusal: Refusal): void {
    if (this.#closing !== undefined) return;
    this.#gateway.metrics.countRefusal(refusal.reason);
    this.close(REFUSED_BASE + ERROR_CODES[refusal.code].status, refusal.reason);
  }

  /** Closes both sides with a code and a reason. A message that is complete and being recorded is delivered before. */
  close(code: number, reason: string): void {
    if (this.#closing !== undefined) return;
    this.#closing = { code, reason };
    this.#closeByMs = this.#gateway.clock.nowMs() + CLOSING_MS;
    this.#sendClose();
  }

  destroy(): void {
    this.client.destroy();
    this.#upstream.destroy();
    this.#over(CLIENT_CLOSED_STATUS);
  }

  // From the client.

  onClientData(chunk: Buffer): void {
    this.#clientHeardAtMs = this.#gateway.clock.nowMs();
    this.#fromClient.push(chunk);
    this.#pumpClient();
  }

  #pumpClient(): void {
    try {
      this.#upstream.cork();
      while (!this.#isHeld && (!this.#takesNoMore || this.#closing !== undefined)) {
        const piece = this.#fromClient.next();
        if (piece === undefined) break;
        this.#onClientPiece(piece);
      }
    } catch (error) {
      this.#onClientError(error);
    } finally {
      this.#upstream.uncork();
    }
    this.#flow();
  }

  #onClientPiece(piece: Piece): void {
    if (piece.kind === "control") {
      this.#onClientControl(piece.opcode, piece.bytes);
      return;
    }
    // What comes after a close was decided upon is nobody's call.
    if (this.#closing !== undefined || this.#isCloseSentToUpstream) return;
    this.#messageBytes = piece.startsMessage ? piece.payloadBytes : this.#messageBytes + piece.payloadBytes;
    if (this.#messageBytes > this.#group.endpoint.bodyBytesMax)
      throw new FrameError("The message is too large", TOO_BIG);
    if (!this.#group.endpoint.isMeteredByMessage && this.#message === undefined) {
      this.#toUpstream(piece.bytes);
      return;
    }
    if (piece.startsMessage) this.#admit(piece);
    else this.#forwardPart(piece);
  }

  #onClientControl(opcode: number, bytes: Buffer): void {
    if (opcode === OPCODES.pong && controlPayload(bytes).equals(PING_PAYLOAD)) return;
    if (this.#closing !== undefined) {
      if (opcode === OPCODES.close) this.client.end();
      return;
    }
    if (this.#isCloseSentToUpstream) return;
    this.#toUpstream(bytes);
    if (opcode !== OPCODES.close) return;
    this.#isCloseSentToUpstream = true;
    this.#closeByMs = this.#gateway.clock.nowMs() + CLOSING_MS;
  }

  /** A message begins: none of it goes on before it is paid for. */
  #admit(piece: Piece & { readonly kind: "data" }): void {
    const decision = this.#group.admit(this.client.remoteAddress, this.#gateway.clock.nowMs());
    if (!(decision instanceof Promise)) {
      this.#onDecided(decision, piece);
      return;
    }
    this.#isHeld = true;
    void decision.then((decided) => {
      this.#isHeld = false;
      this.#onDecided(decided, piece);
      this.#pumpClient();
    });
  }

  #onDecided(decision: Reservation | Refusal, piece: Piece & { readonly kind: "data" }): void {
    if (!("slices" in decision)) {
      this.refuse(decision);
      return;
    }
    const message = new MessageCall(this.#gateway, this.#group.caller, this.#group.endpoint, decision);
    if (this.#isOver || this.#closing !== undefined) {
      message.abandon(CLIENT_CLOSED_STATUS);
      if (!this.#isOver) this.#sendClose();
      return;
    }
    this.#message = message;
    this.#forwardPart(piece);
  }

  #forwardPart(piece: Piece & { readonly kind: "data" }): void {
    const message = this.#message;
    if (message === undefined) return;
    message.bytes += piece.payloadBytes;
    if (!piece.endsMessage) {
      this.#toUpstream(piece.bytes);
      return;
    }
    this.#message = undefined;
    this.#isHeld = true;
    message.finish(
      () => {
        this.#isHeld = false;
        this.#toUpstream(piece.bytes);
        if (this.#closing !== undefined) this.#sendClose();
        this.#pumpClient();
      },
      () => {
        this.#isHeld = false;
        this.close(INTERNAL_ERROR, "cannot_record");
      },
    );
  }

  #toUpstream(bytes: Buffer): void {
    if (!this.#upstream.writable || this.#isCloseSentToUpstream) return;
    this.#forwardedAtMs = this.#gateway.clock.nowMs();
    this.#upstream.write(bytes);
  }

  // From the upstream.

  onUpstreamData(chunk: Buffer): void {
    this.#upstreamHeardAtMs = this.#gateway.clock.nowMs();
    this.#fromUpstream.push(chunk);
    try {
      this.client.cork();
      for (let piece = this.#fromUpstream.next(); piece !== undefined; piece = this.#fromUpstream.next()) {
        this.#onUpstreamPiece(piece);
      }
    } catch (error) {
      this.#gateway.logger.warn({ err: error }, "an upstream breaks the WebSocket protocol");
      this.close(BAD_GATEWAY, "upstream_protocol_error");
      this.#upstream.destroy();
    } finally {
      this.client.uncork();
    }
    this.#flow();
  }

  #onUpstreamPiece(piece: Piece): void {
    if (this.#isCloseSentToClient || !this.client.writable) return;
    if (piece.kind === "control" && piece.opcode === OPCODES.pong && controlPayload(piece.bytes).equals(PING_PAYLOAD)) {
      return;
    }
    this.client.write(piece.bytes);
    if (piece.kind === "control" && piece.opcode === OPCODES.close) {
      this.#isCloseSentToClient = true;
      this.#closeByMs = this.#gateway.clock.nowMs() + CLOSING_MS;
    } else if (this.#closing !== undefined) {
      // The frame that stood in the way of ours may have ended with this.
      this.#sendClose();
    }
  }

  // Ends.

  onClientEnd(): void {
    if (this.#isOver) return;
    if (!this.#isCloseSentToUpstream && this.#closing === undefined) this.#closeUpstream(GOING_AWAY, "client_gone");
    this.client.end();
    this.#upstream.end();
    this.#afterEnd(CLIENT_CLOSED_STATUS);
  }

  onUpstreamEnd(): void {
    if (this.#isOver) return;
    if (!this.#isCloseSentToClient) this.close(BAD_GATEWAY, "upstream_closed");
    if (this.#isCloseSentToClient) this.client.end();
    // It ended in the middle of a frame: there is no place for a goodbye.
    else this.client.destroy();
    this.#upstream.end();
    this.#afterEnd(ERROR_CODES.BAD_GATEWAY.status);
  }

  /** The other side has a moment to end, too. */
  #afterEnd(status: number): void {
    this.#closeByMs = Math.min(this.#closeByMs, this.#gateway.clock.nowMs() + CLOSING_MS);
    if (this.client.closed && this.#upstream.closed) this.#over(status);
  }

  /** Says goodbye where a frame may be put in; in the middle of a frame, at its end or when time is up. */
  #sendClose(): void {
    const { code, reason } = this.#closing ?? { code: GOING_AWAY, reason: "" };
    if (!this.#isHeld) this.#closeUpstream(code, reason);
    if (!this.#isCloseSentToClient && this.#fromUpstream.isBetweenFrames && this.client.writable) {
      this.#isCloseSentToClient = true;
      this.client.write(closeFrame(code, reason, false));
    }
    // To hear the client's own goodbye.
    this.#flow();
  }

  #closeUpstream(code: number, reason: string): void {
    this.#message?.abandon(CLIENT_CLOSED_STATUS);
    this.#message = undefined;
    if (this.#isCloseSentToUpstream || !this.#upstream.writable) return;
    this.#isCloseSentToUpstream = true;
    if (this.#fromClient.isBetweenFrames) this.#upstream.write(closeFrame(code, reason, true));
    this.#upstream.end();
  }

  #onClientError(error: unknown): void {
    if (error instanceof FrameError) {
      this.close(error.closeCode, error.closeCode === TOO_BIG ? "message_too_large" : "protocol_error");
    } else {
      this.#gateway.logger.error({ err: error }, "a WebSocket cannot be relayed");
      this.close(INTERNAL_ERROR, "internal");
    }
    // What follows cannot be read: nobody will hear an answer to our goodbye.
    this.client.removeListener("data", onClientData).resume();
    this.client.end();
  }

  #over(status: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#message?.abandon(status);
    this.#message = undefined;
    this.#target.inFlight -= 1;
    this.#onClosed();
  }

  // Flow.

  /** Reads from each side only what the other takes, and from the client nothing while a message of its is in the balance. */
  #flow(): void {
    const isTaking = this.#closing !== undefined || (!this.#isHeld && !this.#takesNoMore);
    if (isTaking && !this.#upstream.writableNeedDrain) this.client.resume();
    else this.client.pause();
    if (this.client.writableNeedDrain) this.#upstream.pause();
    else this.#upstream.resume();
  }

  onDrain(): void {
    this.#flow();
  }

  #ping(nowMs: number): void {
    this.#pingedAtMs = nowMs;
    const isDue = (heardAtMs: number): boolean => nowMs - heardAtMs >= PING_AFTER_MS;
    if (isDue(this.#clientHeardAtMs) && this.#fromUpstream.isBetweenFrames && !this.#isCloseSentToClient) {
      this.client.write(controlFrame(OPCODES.ping, PING_PAYLOAD, false));
    }
    if (isDue(this.#upstreamHeardAtMs) && this.#fromClient.isBetweenFrames && !this.#isHeld) {
      this.#toUpstream(controlFrame(OPCODES.ping, PING_PAYLOAD, true));
    }
  }
}

function onClientData(this: RelayedSocket, chunk: Buffer): void {
  this[RELAY]?.onClientData(chunk);
}
function onUpstreamData(this: RelayedSocket, chunk: Buffer): void {
  this[RELAY]?.onUpstreamData(chunk);
}
function onClientDrain(this: RelayedSocket): void {
  this[RELAY]?.onDrain();
}
function onUpstreamDrain(this: RelayedSocket): void {
  this[RELAY]?.onDrain();
}
function onClientEnd(this: RelayedSocket): void {
  this[RELAY]?.onClientEnd();
}
function onUpstreamEnd(this: RelayedSocket): void {
  this[RELAY]?.onUpstreamEnd();
}
/** What went wrong is in what follows: an errored socket is closed, and its close is what the relay acts upon. */
function onError(this: RelayedSocket): void {
  this.destroy();
}
