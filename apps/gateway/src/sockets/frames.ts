import { randomBytes } from "node:crypto";

/**
 * The framing of WebSockets (RFC 6455, section 5.2), as far as one needs it who passes frames on: where messages begin
 * and end, which frames are control frames, and what no peer may send. Payloads are neither unmasked nor copied.
 */
export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const FINAL = 0x80;
const COMPRESSED = 0x40;
const RESERVED = 0x30;
const MASKED = 0x80;
const CONTROL_PAYLOAD_MAX = 125;
const MASK_BYTES = 4;
const NOTHING = Buffer.alloc(0);

/** A part of the stream, exactly as it came. */
export type Piece =
  | { readonly kind: "control"; readonly opcode: number; readonly bytes: Buffer }
  | {
      readonly kind: "data";
      readonly bytes: Buffer;
      /** Without headers. */
      readonly payloadBytes: number;
      readonly startsMessage: boolean;
      readonly endsMessage: boolean;
    };

/** The peer broke the protocol, or sent more than may be. `closeCode` says which (RFC 6455, section 7.4.1). */
export class FrameError extends Error {
  readonly closeCode: 1002 | 1009;

  constructor(message: string, closeCode: 1002 | 1009 = 1002) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** Cuts one direction of a WebSocket into pieces. Give it what arrives, and take pieces until there are none. */
export class FrameReader {
  readonly #isMasked: boolean;
  readonly #mayCompress: boolean;
  #unread: Buffer = NOTHING;
  #payloadLeft = 0;
  #isFinal = true;
  #isInMessage = false;

  /** @param options.isMasked clients mask what they send, servers do not */
  constructor(options: { readonly isMasked: boolean; readonly mayCompress: boolean }) {
    this.#isMasked = options.isMasked;
    this.#mayCompress = options.mayCompress;
  }

  /** Whether a frame of our own may be put in after the pieces taken so far. */
  get isBetweenFrames(): boolean {
    return this.#payloadLeft === 0;
  }

  push(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
  }

  /** The next piece, or undefined until more arrives. @throws FrameError */
  next(): Piece | undefined {
    if (this.#payloadLeft > 0) return this.#takeData(0, false);
    const header = this.#readHeader();
    if (header === undefined) return undefined;
    const { opcode, bytes, length } = header;
    if (opcode >= OPCODES.close) {
      if (this.#unread.length < bytes + length) return undefined;
      return { kind: "control", opcode, bytes: this.#take(bytes + length) };
    }
    this.#payloadLeft = length;
    this.#isFinal = header.isFinal;
    return this.#takeData(bytes, opcode !== OPCODES.continuation);
  }

  #takeData(headerBytes: number, startsMessage: boolean): Piece | undefined {
    const payloadBytes = Math.min(this.#unread.length - headerBytes, this.#payloadLeft);
    if (payloadBytes + headerBytes === 0) return undefined;
    this.#payloadLeft -= payloadBytes;
    const endsMessage = this.#payloadLeft === 0 && this.#isFinal;
    this.#isInMessage = !endsMessage;
    return { kind: "data", bytes: this.#take(headerBytes + payloadBytes), payloadBytes, startsMessage, endsMessage };
  }

  #take(count: number): Buffer {
    const taken = this.#unread.subarray(0, count);
    this.#unread = count === this.#unread.length ? NOTHING : this.#unread.subarray(count);
    return taken;
  }

  #readHeader(): { opcode: number; bytes: number; length: number; isFinal: boolean } | undefined {
    const unread = this.#unread;
    if (unread.length < 2) return undefined;
    const first = unread[0] as number;
    const second = unread[1] as number;
    const opcode = first & 0x0f;
    const isFinal = (first & FINAL) !== 0;
    this.#assertAllowed(opcode, first, second, isFinal);
    let length = second & 0x7f;
    let bytes = 2;
    if (length === 126) {
      bytes = 4;
      if (unread.length < bytes) return undefined;
      length = unread.readUInt16BE(2);
    } else if (length === 127) {
      bytes = 10;
      if (unread.length < bytes) return undefined;
      const large = unread.readBigUInt64BE(2);
      if (large > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError("A frame is too large", 1009);
      length = Number(large);
    }
    if (this.#isMasked) bytes += MASK_BYTES;
    return unread.length < bytes ? undefined : { opcode, bytes, length, isFinal };
  }

  #assertAllowed(opcode: number, first: number, second: number, isFinal: boolean): void {
    const isControl = opcode >= OPCODES.close;
    if (((second & MASKED) !== 0) !== this.#isMasked) throw new FrameError("A frame is masked as it must not be");
    if ((first & RESERVED) !== 0) throw new FrameError("Reserved bits are set");
    const mayCompress = this.#mayCompress && (opcode === OPCODES.text || opcode === OPCODES.binary);
    if ((first & COMPRESSED) !== 0 && !mayCompress) throw new FrameError("A frame is compressed as it must not be");
    if (isControl) {
      if (opcode > OPCODES.pong) throw new FrameError("Unknown opcode");
      if (!isFinal || (second & 0x7f) > CONTROL_PAYLOAD_MAX) throw new FrameError("A control frame is too large");
      return;
    }
    if (opcode > OPCODES.binary) throw new FrameError("Unknown opcode");
    if ((opcode === OPCODES.continuation) !== this.#isInMessage) throw new FrameError("A message is out of order");
  }
}

/** A close frame with a code and a reason of at most 123 bytes. */
export function closeFrame(code: number, reason: string, isMasked: boolean): Buffer {
  const text = Buffer.from(reason, "utf8").subarray(0, CONTROL_PAYLOAD_MAX - 2);
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code);
  text.copy(payload, 2);
  return controlFrame(OPCODES.close, payload, isMasked);
}

/** A frame of our own; what goes to a server is masked. @param payload at most 125 bytes; left as it is */
export function controlFrame(opcode: number, payload: Buffer, isMasked: boolean): Buffer {
  const head = [FINAL | opcode, (isMasked ? MASKED : 0) | payload.length];
  if (!isMasked) return Buffer.concat([Buffer.from(head), payload]);
  const mask = randomBytes(MASK_BYTES);
  return Buffer.concat([Buffer.from(head), mask, unmask(payload, mask)]);
}

/** The payload of a whole control frame. */
export function controlPayload(frame: Buffer): Buffer {
  const isMasked = ((frame[1] ?? 0) & MASKED) !== 0;
  return isMasked ? unmask(frame.subarray(2 + MASK_BYTES), frame.subarray(2, 2 + MASK_BYTES)) : frame.subarray(2);
}

/** Masking and unmasking are the same (RFC 6455, section 5.3). */
function unmask(payload: Buffer, mask: Buffer): Buffer {
  return Buffer.from(payload.map((byte, index) => byte ^ (mask[index % MASK_BYTES] as number)));
}
