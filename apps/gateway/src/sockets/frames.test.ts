import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Piece } from "./frames.ts";
import { closeFrame, controlFrame, controlPayload, FrameError, FrameReader, OPCODES } from "./frames.ts";

interface Frame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly payload: Buffer;
}

function encode({ opcode, isFinal, payload }: Frame, isMasked: boolean, flags = 0): Buffer {
  const { length } = payload;
  const extra = length < 126 ? Buffer.alloc(0) : Buffer.alloc(length < 65_536 ? 2 : 8);
  if (extra.length === 2) extra.writeUInt16BE(length);
  else if (extra.length === 8) extra.writeBigUInt64BE(BigInt(length));
  const short = length < 126 ? length : extra.length === 2 ? 126 : 127;
  const head = Buffer.from([(isFinal ? 0x80 : 0) | flags | opcode, (isMasked ? 0x80 : 0) | short]);
  return Buffer.concat([head, extra, ...(isMasked ? [Buffer.from([1, 2, 3, 4])] : []), payload]);
}

const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const control = fc.record({ opcode: fc.constantFrom(8, 9, 10), isFinal: fc.constant(true), payload: bytes(125) });

/** A message in one or several frames, with control frames between them. */
const message = fc
  .array(fc.record({ payload: fc.oneof(bytes(200), bytes(70_000)), before: fc.array(control, { maxLength: 1 }) }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((parts) =>
    parts.flatMap(({ payload, before }, index): Frame[] => [
      ...before,
      { opcode: index === 0 ? OPCODES.text : OPCODES.continuation, isFinal: index === parts.length - 1, payload },
    ]),
  );

function readAll(reader: FrameReader, chunks: readonly Buffer[]): Piece[] {
  const pieces: Piece[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let piece = reader.next(); piece !== undefined; piece = reader.next()) pieces.push(piece);
  }
  return pieces;
}

function cut(stream: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (stream.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((place, index) => stream.subarray(place, places[index] ?? stream.length));
}

describe("a stream of frames", () => {
  it.each([true, false])(
    "comes out as it went in, however it was cut, with every message seen once (masked: %s)",
    (isMasked) => {
      const streams = fc.tuple(fc.array(message, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 12 }));
      fc.assert(
        fc.property(streams, ([messages, places]) => {
          const frames = messages.flat();
          const stream = Buffer.concat(frames.map((frame) => encode(frame, isMasked)));
          const reader = new FrameReader({ isMasked, mayCompress: false });
          const pieces = readAll(reader, cut(stream, places));
          expect(Buffer.concat(pieces.map((piece) => piece.bytes)).equals(stream)).toBe(true);
          expect(reader.isBetweenFrames).toBe(true);
          const data = pieces.flatMap((piece) => (piece.kind === "data" ? [piece] : []));
          expect(data.filter((piece) => piece.startsMessage)).toHaveLength(messages.length);
          expect(data.filter((piece) => piece.endsMessage)).toHaveLength(messages.length);
          const sent = frames.filter((frame) => frame.opcode < 8).reduce((sum, frame) => sum + frame.payload.length, 0);
          expect(data.reduce((sum, piece) => sum + piece.payloadBytes, 0)).toBe(sent);
          expect(pieces.length - data.length).toBe(frames.filter((frame) => frame.opcode >= 8).length);
        }),
        { numRuns: 150 },
      );
    },
  );

  it("is passed on before a frame is complete", () => {
    const frame = encode({ opcode: OPCODES.binary, isFinal: true, payload: Buffer.alloc(100_000) }, true);
    const reader = new FrameReader({ isMasked: true, mayCompress: false });
    const [piece] = readAll(reader, [frame.subarray(0, 1_000)]);
    expect(piece).toMatchObject({ kind: "data", startsMessage: true, endsMessage: false });
    expect(reader.isBetweenFrames).toBe(false);
  });

  const text = (payload = Buffer.from("x"), isFinal = true): Frame => ({ opcode: OPCODES.text, isFinal, payload });
  it.each([
    ["an unmasked frame of a client", encode(text(), false)],
    ["a reserved bit", encode(text(), true, 0x20)],
    ["compression that was not agreed upon", encode(text(), true, 0x40)],
    ["an unknown kind of data", encode({ ...text(), opcode: 3 }, true)],
    ["an unknown kind of control", encode({ ...text(), opcode: 11 }, true)],
    ["a control frame in parts", encode({ ...text(), opcode: OPCODES.ping, isFinal: false }, true)],
    ["a large control frame", encode({ ...text(Buffer.alloc(126)), opcode: OPCODES.ping }, true)],
    ["a continuation of nothing", encode({ ...text(), opcode: OPCODES.continuation }, true)],
    ["a message within a message", Buffer.concat([encode(text(undefined, false), true), encode(text(), true)])],
  ])("with %s is broken off", (_, stream) => {
    const reader = new FrameReader({ isMasked: true, mayCompress: false });
    expect(() => readAll(reader, [stream])).toThrow(FrameError);
  });

  it("may be compressed where that was agreed upon", () => {
    const reader = new FrameReader({ isMasked: true, mayCompress: true });
    expect(readAll(reader, [encode(text(), true, 0x40)])).toHaveLength(1);
  });

  it("with a length that no number holds is too large", () => {
    const head = Buffer.from([0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    const reader = new FrameReader({ isMasked: true, mayCompress: false });
    reader.push(head);
    expect(() => reader.next()).toThrow(expect.objectContaining({ closeCode: 1009 }));
  });
});

describe("a frame of our own", () => {
  it.each([true, false])("reads as what it says (masked: %s)", (isMasked) => {
    const frame = closeFrame(4402, "insufficient_credit", isMasked);
    const payload = controlPayload(frame);
    expect([payload.readUInt16BE(0), payload.subarray(2).toString()]).toEqual([4402, "insufficient_credit"]);
    const [piece] = readAll(new FrameReader({ isMasked, mayCompress: false }), [frame]);
    expect(piece).toMatchObject({ kind: "control", opcode: OPCODES.close });
    expect(controlPayload(controlFrame(OPCODES.ping, Buffer.from("hello"), isMasked)).toString()).toBe("hello");
  });

  it("cuts a reason that is too long", () => {
    expect(closeFrame(1000, "r".repeat(200), false)).toHaveLength(127);
  });
});
