import type { Refusal } from "../admission/refusal.ts";
import type { Reservation } from "../admission/reserve.ts";
import type { Gateway } from "../gateway.ts";
import type { Piece } from "./frames.ts";
import { FrameError } from "./frames.ts";
import { MessageCall } from "./messageCall.ts";
import type { SocketGroup } from "./socketGroup.ts";

type DataPiece = Piece & { readonly kind: "data" };

/** What becomes of a client's messages. */
export interface MeterPorts {
  /** Bytes may go on to the upstream. */
  deliver(bytes: Buffer): void;
  refuse(refusal: Refusal): void;
  /** The message cannot be recorded. */
  fail(): void;
  /** A message was in the balance and is not any more: what comes after it may be taken. */
  release(): void;
}

/**
 * The messages of one client on their way to the upstream. Where each is a call, a message waits to be admitted before its
 * first byte goes on, and to be on file before its last; until then {@link isHeld}, and nothing that follows may go on.
 */
export class MessageMeter {
  isHeld = false;
  readonly #gateway: Gateway;
  readonly #group: SocketGroup;
  readonly #ports: MeterPorts;
  #message: MessageCall | undefined;
  #bytes = 0;
  /** Why a message that begins or goes on is not to be taken: the connection is over, or about to be. */
  #endedStatus: number | undefined;

  constructor(gateway: Gateway, group: SocketGroup, ports: MeterPorts) {
    this.#gateway = gateway;
    this.#group = group;
    this.#ports = ports;
  }

  /**
   * @param address where the client is
   * @throws FrameError for a message that is too large
   */
  take(piece: DataPiece, address: string | undefined): void {
    if (this.#endedStatus !== undefined) return;
    this.#bytes = piece.startsMessage ? piece.payloadBytes : this.#bytes + piece.payloadBytes;
    if (this.#bytes > this.#group.endpoint.bodyBytesMax) throw new FrameError("The message is too large", 1009);
    if (piece.startsMessage && this.#group.endpoint.isMeteredByMessage) this.#admit(piece, address);
    else this.#forward(piece);
  }

  /** Nothing is taken any more. A message that is not complete is not charged. @param status of whoever ended it */
  end(status: number): void {
    this.#endedStatus ??= status;
    this.#message?.abandon(status);
    this.#message = undefined;
  }

  #admit(piece: DataPiece, address: string | undefined): void {
    const decision = this.#group.admit(address, this.#gateway.clock.nowMs());
    if (!(decision instanceof Promise)) {
      this.#onDecided(decision, piece);
      return;
    }
    this.isHeld = true;
    void decision.then((decided) => {
      this.isHeld = false;
      this.#onDecided(decided, piece);
      if (!this.isHeld) this.#ports.release();
    });
  }

  #onDecided(decision: Reservation | Refusal, piece: DataPiece): void {
    if (!("slices" in decision)) {
      this.#ports.refuse(decision);
      return;
    }
    const message = new MessageCall(this.#gateway, this.#group.caller, this.#group.endpoint, decision);
    if (this.#endedStatus !== undefined) {
      message.abandon(this.#endedStatus);
      return;
    }
    this.#message = message;
    this.#forward(piece);
  }

  #forward(piece: DataPiece): void {
    const message = this.#message;
    if (message !== undefined) message.bytes += piece.payloadBytes;
    if (message === undefined || !piece.endsMessage) {
      this.#ports.deliver(piece.bytes);
      return;
    }
    this.#message = undefined;
    this.isHeld = true;
    message.finish(
      () => {
        this.isHeld = false;
        this.#ports.deliver(piece.bytes);
        this.#ports.release();
      },
      () => {
        this.isHeld = false;
        this.#ports.fail();
      },
    );
  }
}
