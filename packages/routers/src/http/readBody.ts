import type { IncomingMessage } from "node:http";
import { TollgateError } from "@tollgate/kernel";

/** The client went away before its body was complete; there is nobody to answer. */
export class RequestAborted extends Error {
  override readonly name = "RequestAborted";
}

/** The whole body as text, under the same conditions as {@link readBytes}. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<string> {
  return (await readBytes(request, bytesMax)).toString("utf8");
}

/**
 * The whole body. One that is too large is refused as soon as that is known, without reading the rest: node
 * discards it, under the server's request timeout.
 * @throws TollgateError PAYLOAD_TOO_LARGE
 * @throws RequestAborted
 */
export function readBytes(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers["content-length"] ?? 0) > bytesMax) return reject(tooLarge());
    // It went while somebody decided how much it may send: nothing more will be heard of it.
    if (request.destroyed) return reject(new RequestAborted("The client went away"));
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (finish: () => void): void => {
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      finish();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > bytesMax) settle(() => reject(tooLarge()));
      else chunks.push(chunk);
    };
    const onEnd = (): void =>
      settle(() => {
        const [only] = chunks;
        resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks));
      });
    const onClose = (): void => settle(() => reject(new RequestAborted("The client went away")));
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

const tooLarge = (): TollgateError =>
  new TollgateError("PAYLOAD_TOO_LARGE", "The body is larger than this endpoint takes");
