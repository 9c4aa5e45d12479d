import { TollgateError } from "@tollgate/kernel";
import type { AnyTRPCProcedure } from "@trpc/server";
import { initTRPC, TRPCError } from "@trpc/server";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { callProcedure } from "./callProcedure.ts";

interface Ctx {
  readonly name: string;
  readonly trail: readonly string[];
}

const t = initTRPC.context<Ctx>().meta<{ readonly note: string }>().create();
const leaveTrail = (step: string) => t.middleware(({ ctx, next }) => next({ ctx: { trail: [...ctx.trail, step] } }));

const PROCEDURES: Readonly<Record<string, AnyTRPCProcedure>> = {
  "that is plain": t.procedure.query(() => 1),
  "with a context that middlewares add to": t.procedure
    .use(leaveTrail("a"))
    .use(leaveTrail("b"))
    .query(({ ctx }) => ctx),
  "with two inputs, which are merged": t.procedure
    .input(z.object({ a: z.number() }))
    .use(({ input, next }) => next({ ctx: { trail: [JSON.stringify(input)] } }))
    .input(z.object({ b: z.string().default("b") }))
    .query(({ ctx, input }) => ({ ctx, input })),
  "whose input is not valid": t.procedure.input(z.object({ a: z.string() })).query(() => 1),
  "whose output is not valid": t.procedure.output(z.object({ a: z.string() })).query(() => ({ a: 1 }) as never),
  "whose output is stripped": t.procedure.output(z.object({ a: z.string() })).query(() => ({ a: "x", b: 1 })),
  "whose middleware replaces the input": t.procedure
    .use(({ next }) => next({ input: { replaced: true } }))
    .query(({ input }) => input),
  "whose middleware replaces the raw input": t.procedure
    .use(({ next }) => next({ getRawInput: async () => ({ a: 9 }) }))
    .input(z.object({ a: z.number() }))
    .query(({ input }) => input),
  "whose middleware replaces the answer": t.procedure
    .use(async ({ next }) => {
      const result = await next();
      return result.ok ? { ...result, data: "replaced" } : result;
    })
    .query(() => 1),
  "whose middleware sees the failure as a value": t.procedure
    .use(async ({ next }) => {
      const result = await next();
      if (!result.ok) throw new TRPCError({ code: "CONFLICT", message: `seen: ${result.error.message}` });
      return result;
    })
    .query(() => {
      throw new Error("inner");
    }),
  "whose middleware runs the rest twice": t.procedure
    .use(async ({ next }) => {
      await next();
      return next();
    })
    .query(({ ctx }) => ctx.name),
  "whose middleware forgets to return": t.procedure.use((() => Promise.resolve()) as never).query(() => 1),
  "that throws the product's error": t.procedure.query(() => {
    throw new TollgateError("GONE", "It was here once");
  }),
  "that throws something that is no error": t.procedure.query(() => {
    throw "a text";
  }),
  "that answers what it was called with": t.procedure
    .meta({ note: "meta" })
    .use(({ meta, path, type, batchIndex, signal, next }) =>
      next({ ctx: { trail: [JSON.stringify({ meta, path, type, batchIndex, hasSignal: signal !== undefined })] } }),
    )
    .mutation(({ ctx, path, batchIndex }) => ({ ctx, path, batchIndex })),
};

async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return { data: await call };
  } catch (error) {
    if (!(error instanceof TRPCError)) throw error;
    return { code: error.code, message: error.message, cause: error.cause };
  }
}

describe("calling a procedure", () => {
  it.each(Object.entries(PROCEDURES))("%s has the same outcome as when tRPC does", async (_, procedure) => {
    const call = {
      ctx: { name: "n", trail: ["start"] },
      path: "things.probe",
      type: procedure._def.type,
      getRawInput: async () => ({ a: 1 }),
      signal: new AbortController().signal,
      batchIndex: 3,
    };
    const ours = await outcomeOf(callProcedure(procedure, call));
    expect(ours).toEqual(await outcomeOf(procedure({ ...call, input: undefined })));
  });
});
