import type { IncomingMessage } from "node:http";
import { TollgateError } from "@tollgate/kernel";
import type { AnyTRPCProcedure, AnyTRPCRouter, TRPCProcedureType } from "@trpc/server";
import { TRPCError } from "@trpc/server";
import { assertStorable } from "./assertStorable.ts";
import { RequestAborted, readBody } from "./readBody.ts";

/** One call of a request: a batch has several, separated by commas in the path. */
export interface TrpcCall {
  readonly path: string;
  readonly procedure: AnyTRPCProcedure | undefined;
}

/** The only method a procedure of a type is called with. A mutation never runs on GET. */
export const acceptedMethod = (type: TRPCProcedureType): "GET" | "POST" => (type === "mutation" ? "POST" : "GET");

/** @throws TRPCError BAD_REQUEST for a batch of queries and mutations */
export function assertOneType(calls: readonly TrpcCall[]): void {
  if (calls.length === 1) return;
  const types = new Set(calls.map((call) => call.procedure?._def.type).filter((type) => type !== undefined));
  if (types.size > 1) {
    throw new TRPCError({
      code: "BAD_REQUEST",
      message: `Cannot mix procedure types in call: ${[...types].join(", ")}`,
    });
  }
}

/**
 * The inputs of a request's calls, decoded when the first procedure asks for one: a procedure without an input does not
 * mind what was sent, and a body that cannot be decoded fails the calls that wanted it, not the request.
 */
export class TrpcInputs {
  readonly #text: string;
  readonly #failure: unknown;
  readonly #isBatch: boolean;
  readonly #callCount: number;
  #decoded: readonly unknown[] | undefined;

  constructor(source: { text: string; failure?: unknown; isBatch: boolean; callCount: number }) {
    this.#text = source.text;
    this.#failure = source.failure;
    this.#isBatch = source.isBatch;
    this.#callCount = source.callCount;
  }

  /** The input of one call. @throws TRPCError BAD_REQUEST, or what went wrong while the body was read */
  async read(router: AnyTRPCRouter, index: number): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      this.#decoded ??= this.#decode(router);
      const input = this.#decoded[index];
      assertStorable(this.#text, input);
      return input;
    } catch (cause) {
      if (cause instanceof TRPCError || cause instanceof TollgateError) throw cause;
      throw new TRPCError({
        code: "BAD_REQUEST",
        message: cause instanceof Error ? cause.message : "Invalid input",
        cause,
      });
    }
  }

  #decode(router: AnyTRPCRouter): readonly unknown[] {
    if (this.#text === "") return [];
    const sent: unknown = JSON.parse(this.#text);
    const { deserialize } = router._def._config.transformer.input;
    if (!this.#isBatch) return [deserialize(sent)];
    if (typeof sent !== "object" || sent === null || Array.isArray(sent)) {
      throw new TRPCError({
        code: "BAD_REQUEST",
        message: '"input" needs to be an object when doing a batch call',
      });
    }
    return Array.from({ length: this.#callCount }, (_, index) => {
      const input = (sent as Readonly<Record<number, unknown>>)[index];
      return input === undefined ? undefined : deserialize(input);
    });
  }
}

/** Takes the inputs from the query of a GET or from the body of anything else. @throws RequestAborted */
export async function readInputs(
  request: IncomingMessage,
  query: URLSearchParams,
  about: { readonly calls: readonly TrpcCall[]; readonly isBatch: boolean; readonly bodyBytesMax: number },
): Promise<TrpcInputs> {
  const { isBatch } = about;
  const callCount = about.calls.length;
  if (request.method === "GET") return new TrpcInputs({ text: query.get("input") ?? "", isBatch, callCount });
  try {
    return new TrpcInputs({ text: await readBody(request, about.bodyBytesMax), isBatch, callCount });
  } catch (failure) {
    if (failure instanceof RequestAborted) throw failure;
    return new TrpcInputs({ text: "", failure, isBatch, callCount });
  }
}
