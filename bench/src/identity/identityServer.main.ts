import { createServer } from "node:http";
import { meDto } from "@tollgate/contracts";
import { createDatabase } from "@tollgate/db";
import type { RequestContext } from "@tollgate/routers";
import { appRouter } from "@tollgate/routers";
import { createTrpcHandler } from "@tollgate/routers/http";
import { readMe } from "@tollgate/services/customers";
import type { AnyTRPCRouter } from "@trpc/server";
import { initTRPC, TRPCError } from "@trpc/server";
import type { FastifyTRPCPluginOptions } from "@trpc/server/adapters/fastify";
import { fastifyTRPCPlugin } from "@trpc/server/adapters/fastify";
import fastify from "fastify";
import superjson from "superjson";
import { reportPort } from "../floors/reportPort.ts";
import { createRequestContexts } from "./identityContext.ts";

/** `customers.me`, with its reads: `product`, or `stock` with tRPC, superjson and Fastify as one would set them up. */
const [side, databaseUrl = ""] = process.argv.slice(2);
const createContext = createRequestContexts(createDatabase({ url: databaseUrl, applicationName: "bench" }));

if (side === "product") {
  const server = createServer(createTrpcHandler({ router: appRouter, prefix: "/trpc/", createContext }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  reportPort(server);
} else {
  const t = initTRPC.context<RequestContext>().create({ transformer: superjson, isDev: false });
  const signedIn = t.procedure.use(async ({ ctx, next }) => {
    const actor = await ctx.authenticate();
    if (actor.kind === "anonymous") throw new TRPCError({ code: "UNAUTHORIZED" });
    return next({ ctx: { actor } });
  });
  const router = t.router({
    customers: t.router({ me: signedIn.output(meDto).query(({ ctx }) => readMe({ ctx })) }),
  });
  const server = fastify();
  await server.register(fastifyTRPCPlugin, {
    prefix: "/trpc",
    trpcOptions: { router, createContext: ({ req }) => createContext(req.raw) },
  } satisfies FastifyTRPCPluginOptions<AnyTRPCRouter>);
  await server.listen({ host: "127.0.0.1", port: 0 });
  reportPort(server.server);
}
