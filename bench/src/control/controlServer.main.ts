import type { Server } from "node:http";
import { createServer } from "node:http";
import { createTrpcHandler } from "@tollgate/routers/http";
import type { AnyTRPCRouter } from "@trpc/server";
import type { FastifyTRPCPluginOptions } from "@trpc/server/adapters/fastify";
import { fastifyTRPCPlugin } from "@trpc/server/adapters/fastify";
import { createHTTPHandler } from "@trpc/server/adapters/standalone";
import fastify from "fastify";
import { reportPort } from "../floors/reportPort.ts";
import { createContext, productRouter, stockRouter } from "./controlRouter.ts";

/** One of the control planes that are compared: `<adapter> <router>`. */
const [adapter, routerName] = process.argv.slice(2);
const router: AnyTRPCRouter = routerName === "product" ? productRouter : stockRouter;
const MAX_PARAM_LENGTH = 5_000;

switch (adapter) {
  case "binding":
    await listen(createServer(createTrpcHandler({ router, prefix: "/trpc/", createContext })));
    break;
  case "standalone": {
    const handler = createHTTPHandler({ router, basePath: "/trpc/", createContext: ({ req }) => createContext(req) });
    await listen(createServer(handler));
    break;
  }
  case "fastify": {
    const server = fastify({ routerOptions: { maxParamLength: MAX_PARAM_LENGTH } });
    await server.register(fastifyTRPCPlugin, {
      prefix: "/trpc",
      trpcOptions: { router, createContext: ({ req }) => createContext(req.raw) },
    } satisfies FastifyTRPCPluginOptions<AnyTRPCRouter>);
    await server.listen({ host: "127.0.0.1", port: 0 });
    reportPort(server.server);
    break;
  }
  default:
    throw new Error(`No such adapter: ${adapter}`);
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  reportPort(server);
}
