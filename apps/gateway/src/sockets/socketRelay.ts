import type { Socket } from "node:net";
import { ERROR_CODES } from "@tollgate/kernel";
import type { Refusal } from "../admission/refusal.ts";
import type { UpstreamTarget } from "../forward/upstreamPools.ts";
import type { Gateway } from "../gateway.ts";
import type { Piece } from "./frames.ts";
import { closeFrame, controlFrame, controlPayload, FrameError, FrameReader, OPCODES } from "./frames.ts";
import { MessageMeter } from "./messageMeter.ts";
import type { OpenedSocket } from "./openedSocket.ts";
import { CLOSE_CODES } from "./openedSocket.ts";
import type { RelayEvents } from "./relayListeners.ts";
import { listen, stopHearing } from "./relayListeners.ts";
import type { SocketGroup } from "./socketGroup.ts";

/** A side that has been silent for so long is asked whether it is there, and given up after as long again. */
const PING_AFTER_MS = 30_000;
/** How long a closing handshake may take. */
const CLOSING_MS = 2_000;
const PING_PAYLOAD = Buffer.from("tollgate");
const CLIENT_CLOSED_STATUS = 499;

/**
 * A WebSocket between its client and its upstream. Frames pass as they are, in order, and no faster than the slower side
 * takes them; nothing is gathered, unmasked or compressed here.
 */
export class SocketRelay implements RelayEvents {
  readonly client: Socket;
  readonly address: string | undefined;
  readonly #upstream: Socket;
  readonly #gateway: Gateway;
  readonly #target: UpstreamTarget;
  readonly #onClosed: () => void;
  readonly #fromClient: FrameReader;
  readonly #fromUpstream: FrameReader;
  readonly #meter: MessageMeter;
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
    this.address = opened.address;
    this.#upstream = opened.upstream;
    this.#target = opened.target;
    this.#gateway = gateway;
    this.#meter = new MessageMeter(gateway, group, {
      deliver: (bytes) => this.#toUpstream(bytes),
      refuse: (refusal) => this.refuse(refusal),
      fail: () => this.close(CLOSE_CODES.internalError, "cannot_record"),
      release: () => this.#onReleased(),
    });
    this.#onClosed = onClosed;
    this.#fromClient = new FrameReader({ isMasked: true, mayCompress });
    this.#fromUpstream = new FrameReader({ isMasked: false, mayCompress });
    this.#clientHeardAtMs = gateway.clock.nowMs();
    this.#upstreamHeardAtMs = this.#clientHeardAtMs;
    this.#forwardedAtMs = this.#clientHeardAtMs;
    this.#pingedAtMs = this.#clientHeardAtMs;
  }

  start(): void {
    listen(this.client, this.#upstream, this);
    this.client.resume();
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
    return !this.#meter.isHeld && nowMs - Math.max(this.#upstreamHeardAtMs, this.#forwardedAtMs) >= ms;
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
    this.close(CLOSE_CODES.refusedBase + ERROR_CODES[refusal.code].status, refusal.reason);
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

  onClientData(chunk: Buffer): void {
    this.#clientHeardAtMs = this.#gateway.clock.nowMs();
    this.#fromClient.push(chunk);
    this.#pumpClient();
  }

  #pumpClient(): void {
    try {
      this.#upstream.cork();
      while (!this.#meter.isHeld && (!this.#takesNoMore || this.#closing !== undefined)) {
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
    if (this.#closing === undefined && !this.#isCloseSentToUpstream) this.#meter.take(piece, this.address);
  }

  /** A message that was in the balance has gone on, or will not. */
  #onReleased(): void {
    if (this.#isOver) return;
    if (this.#closing !== undefined) this.#sendClose();
    this.#pumpClient();
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

  #toUpstream(bytes: Buffer): void {
    if (!this.#upstream.writable || this.#isCloseSentToUpstream) return;
    this.#forwardedAtMs = this.#gateway.clock.nowMs();
    this.#upstream.write(bytes);
  }

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
      this.close(CLOSE_CODES.badGateway, "upstream_protocol_error");
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

  onClientEnd(): void {
    if (this.#isOver) return;
    if (!this.#isCloseSentToUpstream && this.#closing === undefined)
      this.#closeUpstream(CLOSE_CODES.goingAway, "client_gone");
    this.client.end();
    this.#upstream.end();
    this.#afterEnd(CLIENT_CLOSED_STATUS);
  }

  onUpstreamEnd(): void {
    if (this.#isOver) return;
    this.#meter.end(ERROR_CODES.BAD_GATEWAY.status);
    if (!this.#isCloseSentToClient) this.close(CLOSE_CODES.badGateway, "upstream_closed");
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
    const { code, reason } = this.#closing ?? { code: CLOSE_CODES.goingAway, reason: "" };
    if (!this.#meter.isHeld) this.#closeUpstream(code, reason);
    if (!this.#isCloseSentToClient && this.#fromUpstream.isBetweenFrames && this.client.writable) {
      this.#isCloseSentToClient = true;
      this.client.write(closeFrame(code, reason, false));
    }
    // To hear the client's own goodbye.
    this.#flow();
  }

  #closeUpstream(code: number, reason: string): void {
    this.#meter.end(CLIENT_CLOSED_STATUS);
    if (this.#isCloseSentToUpstream || !this.#upstream.writable) return;
    this.#isCloseSentToUpstream = true;
    if (this.#fromClient.isBetweenFrames) this.#upstream.write(closeFrame(code, reason, true));
    this.#upstream.end();
  }

  #onClientError(error: unknown): void {
    if (error instanceof FrameError) {
      const isTooBig = error.closeCode === CLOSE_CODES.tooBig;
      if (isTooBig) this.#meter.end(ERROR_CODES.PAYLOAD_TOO_LARGE.status);
      this.close(error.closeCode, isTooBig ? "message_too_large" : "protocol_error");
    } else {
      this.#gateway.logger.error({ err: error }, "a WebSocket cannot be relayed");
      this.close(CLOSE_CODES.internalError, "internal");
    }
    // What follows cannot be read: nobody will hear an answer to our goodbye.
    stopHearing(this.client);
    this.client.end();
  }

  #over(status: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#meter.end(status);
    this.#target.inFlight -= 1;
    this.#onClosed();
  }

  /** Reads from each side only what the other takes, and from the client nothing while a message of its is in the balance. */
  #flow(): void {
    const isTaking = this.#closing !== undefined || (!this.#meter.isHeld && !this.#takesNoMore);
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
    if (isDue(this.#upstreamHeardAtMs) && this.#fromClient.isBetweenFrames && !this.#meter.isHeld) {
      this.#toUpstream(controlFrame(OPCODES.ping, PING_PAYLOAD, true));
    }
  }
}
