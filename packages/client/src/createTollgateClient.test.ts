import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import type { createTRPCClient, TRPCClient } from "@trpc/client";
import { initTRPC } from "@trpc/server";
import { createHTTPHandler } from "@trpc/server/adapters/standalone";
import { build } from "esbuild";
import superjson from "superjson";
import { expect, onTestFinished, test } from "vitest";
import type { TollgateClientOptions } from "./createTollgateClient.ts";
import { createTollgateClient } from "./createTollgateClient.ts";

const t = initTRPC
  .context<{ authorization: string | undefined; tenant: string | undefined }>()
  .create({ transformer: superjson });
const standIn = t.router({
  whoami: t.procedure.query(({ ctx }) => ({ ...ctx })),
  amounts: t.procedure.query(() => ({ micros: 1_500_000n, at: new Date("2026-01-01T00:00:00Z") })),
  add: t.procedure.input((value: unknown) => value as { micros: bigint }).mutation(({ input }) => input.micros + 1n),
});

/** A server that speaks the same protocol as the control plane, with three procedures of its own. */
async function serve() {
  const requests: string[] = [];
  const handler = createHTTPHandler({
    router: standIn,
    basePath: "/trpc/",
    createContext: ({ req }) => ({
      authorization: req.headers.authorization,
      tenant: req.headers["x-tenant"]?.toString(),
    }),
  });
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url?.split("?")[0]}`);
    handler(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const url = `http://127.0.0.1:${address.port}`;
  const client = (options: Omit<TollgateClientOptions, "url"> = {}): TRPCClient<typeof standIn> =>
    createTollgateClient({ url, ...options }) as unknown as TRPCClient<typeof standIn>;
  return { url, requests, client };
}

test("amounts arrive as bigints and times as Dates, both ways", async () => {
  const { client } = await serve();
  expect(await client().amounts.query()).toEqual({ micros: 1_500_000n, at: new Date("2026-01-01T00:00:00Z") });
  expect(await client().add.mutate({ micros: 2n ** 60n })).toBe(2n ** 60n + 1n);
});

test("calls made together travel together, under /trpc of the address", async () => {
  const { client, requests } = await serve();
  const { whoami, amounts } = client();
  await Promise.all([whoami.query(), amounts.query()]);
  expect(requests).toEqual(["GET /trpc/whoami,amounts"]);
});

test("an address with a path and a trailing slash keeps its path", async () => {
  const seen: string[] = [];
  const fetch: typeof globalThis.fetch = async (input) => {
    seen.push(String(input));
    throw new Error("not sent");
  };
  for (const url of ["https://example.com/base", "https://example.com/base/"]) {
    const client = createTollgateClient({ url, fetch }) as unknown as TRPCClient<typeof standIn>;
    await expect(client.whoami.query()).rejects.toThrow("not sent");
  }
  expect(seen.map((address) => address.split("?")[0])).toEqual([
    "https://example.com/base/trpc/whoami",
    "https://example.com/base/trpc/whoami",
  ]);
  expect(() => createTollgateClient({ url: "nonsense" })).toThrow(TypeError);
});

test("the token is asked for before every call, and none is sent for a stranger", async () => {
  const { client } = await serve();
  const tokens = ["one", "two", undefined];
  const refreshing = client({
    getToken: async () => tokens.shift(),
    token: "never",
    headers: async () => ({ "x-tenant": "a" }),
  });
  expect(await refreshing.whoami.query()).toEqual({ authorization: "Bearer one", tenant: "a" });
  expect(await refreshing.whoami.query()).toEqual({ authorization: "Bearer two", tenant: "a" });
  expect(await refreshing.whoami.query()).toEqual({ authorization: undefined, tenant: "a" });
  expect(await client({ token: "fixed" }).whoami.query()).toMatchObject({ authorization: "Bearer fixed" });
});

test("a subscription is opened with the given EventSource, whose fetch carries the token", async () => {
  const opened: { url: string; authorization: string | null; accept: string | null }[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    opened.push({
      url: String(input).split("?")[0] ?? "",
      authorization: headers.get("authorization"),
      accept: headers.get("accept"),
    });
    return new Response(null, { status: 204 });
  };
  class StandInEventSource extends EventTarget {
    static readonly CONNECTING = 0;
    static readonly OPEN = 1;
    static readonly CLOSED = 2;
    readonly CONNECTING = 0;
    readonly OPEN = 1;
    readonly CLOSED = 2;
    readyState = 0;

    constructor(url: string, init: { fetch: typeof globalThis.fetch }) {
      super();
      void init.fetch(url, { headers: { accept: "text/event-stream" } });
    }

    close(): void {
      this.readyState = this.CLOSED;
    }
  }
  const live = t.router({
    live: t.procedure.subscription(async function* () {
      yield 1;
    }),
  });
  const client = createTollgateClient({
    url: "https://example.com",
    token: "secret",
    EventSource: StandInEventSource,
    fetch,
  }) as unknown as ReturnType<typeof createTRPCClient<typeof live>>;
  const subscription = client.live.subscribe(undefined, { onData: () => {} });
  await expect
    .poll(() => opened)
    .toEqual([{ url: "https://example.com/trpc/live", authorization: "Bearer secret", accept: "text/event-stream" }]);
  subscription.unsubscribe();
});

test("the door for front ends holds no server code and builds for a browser", async () => {
  const entry = fileURLToPath(new URL("./index.ts", import.meta.url));
  const built = await build({
    entryPoints: [entry],
    bundle: true,
    platform: "browser",
    format: "esm",
    write: false,
    metafile: true,
  });
  const ours = Object.keys(built.metafile.inputs).filter((path) => !path.includes("node_modules/"));
  expect(ours.map((path) => path.replace(/^.*packages\//, "")).sort()).toEqual([
    "client/src/createTollgateClient.ts",
    "client/src/index.ts",
  ]);
});
