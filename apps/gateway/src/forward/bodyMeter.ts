import type { TransformCallback } from "node:stream";
import { Transform } from "node:stream";

/** Counts a body of unknown length on its way through and stops one that is too large. */
export class BodyMeter extends Transform {
  bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    super();
    this.#bytesMax = bytesMax;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.bytes += chunk.length;
    if (this.bytes > this.#bytesMax) {
      callback(Object.assign(new Error("The body is too large"), { code: "BODY_TOO_LARGE" }));
      return;
    }
    callback(null, chunk);
  }
}
