import httpProxy from "@fastify/http-proxy";
import rateLimit from "@fastify/rate-limit";
import fastify from "fastify";
import { Redis } from "ioredis";
import { reportPort } from "./reportPort.ts";

/** What a Node.js user would assemble: Fastify's own proxy plugin, and its rate limit on Redis, by API key. */
const [upstream = "", redisUrl = ""] = process.argv.slice(2);
const CALLS_MAX = 1_000_000_000;

const server = fastify();
await server.register(rateLimit, {
  max: CALLS_MAX,
  timeWindow: 1_000,
  redis: new Redis(redisUrl),
  keyGenerator: (request) => request.headers.authorization ?? request.ip,
});
await server.register(httpProxy, { upstream });
await server.listen({ host: "127.0.0.1", port: 0 });
reportPort(server.server);
