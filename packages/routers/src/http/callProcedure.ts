import type { AnyTRPCMiddlewareFunction, AnyTRPCProcedure, TRPCProcedureType } from "@trpc/server";
import { getTRPCErrorFromUnknown, TRPCError } from "@trpc/server";

/** What a procedure is called with. */
export interface ProcedureCall {
  readonly ctx: object;
  readonly path: string;
  readonly type: TRPCProcedureType;
  readonly getRawInput: () => Promise<unknown>;
  readonly signal: AbortSignal | undefined;
  readonly batchIndex: number;
}

/** What `next()` of a middleware resolves to. */
type Result = Awaited<ReturnType<AnyTRPCMiddlewareFunction>>;

interface NextOptions {
  readonly ctx?: object;
  readonly input?: unknown;
  readonly getRawInput?: () => Promise<unknown>;
}

interface Definition {
  readonly middlewares: readonly AnyTRPCMiddlewareFunction[];
  readonly meta: unknown;
  readonly experimental_caller?: boolean;
}

/**
 * Calls a procedure as tRPC itself does: its middlewares in turn, the validators and the resolver among them. tRPC is
 * published for old runtimes, where every step of that copies its options and the context through a polyfill of object
 * spread, property by property; with the language's own that is a tenth of a small call's time. A test holds the two to
 * the same results.
 * @throws TRPCError what the procedure failed with
 */
export async function callProcedure(procedure: AnyTRPCProcedure, call: ProcedureCall): Promise<unknown> {
  const definition = procedure._def as unknown as Definition;
  if (definition.experimental_caller === true) return procedure({ ...call, input: undefined });
  const result = await runMiddleware(definition, 0, call, undefined);
  if (result === undefined) {
    throw new TRPCError({
      code: "INTERNAL_SERVER_ERROR",
      message: "No result from middlewares - did you forget to `return next()`?",
    });
  }
  if (!result.ok) throw result.error;
  return result.data;
}

async function runMiddleware(
  definition: Definition,
  index: number,
  call: ProcedureCall,
  input: unknown,
): Promise<Result | undefined> {
  const { ctx, path, type, getRawInput, signal, batchIndex } = call;
  const next = (options?: NextOptions): Promise<Result | undefined> =>
    runMiddleware(
      definition,
      index + 1,
      {
        ctx: options?.ctx ? { ...ctx, ...options.ctx } : ctx,
        path,
        type,
        getRawInput: options?.getRawInput ?? getRawInput,
        signal,
        batchIndex,
      },
      options !== undefined && "input" in options ? options.input : input,
    );
  try {
    const middleware = definition.middlewares[index] as AnyTRPCMiddlewareFunction;
    const { meta } = definition;
    return await middleware({ ctx, path, type, getRawInput, signal, batchIndex, meta, input, next: next as never });
  } catch (cause) {
    return { ok: false, error: getTRPCErrorFromUnknown(cause), marker: "middlewareMarker" as never };
  }
}
