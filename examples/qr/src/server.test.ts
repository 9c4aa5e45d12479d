import { once } from "node:events";
import { createRequire } from "node:module";
import QRCode from "qrcode";
import { expect, onTestFinished, test } from "vitest";
import { CodeCache } from "./codeCache.ts";
import { definition } from "./openapi.ts";
import { parseQrOptions } from "./options.ts";
import { renderCode } from "./renderCode.ts";
import { createQrServer } from "./server.ts";

async function start(): Promise<string> {
  const server = createQrServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** The decoder that comes with the library; it has no types. */
const { PNG } = createRequire(import.meta.url)("pngjs") as {
  PNG: { sync: { read(bytes: Buffer): { width: number; height: number; data: Buffer } } };
};
/** Width and height, from the header chunk (PNG, ISO/IEC 15948, 11.2.2). */
const sizeOf = (png: Buffer): [number, number] => [png.readUInt32BE(16), png.readUInt32BE(20)];

async function generate(url: string, query: Record<string, string>): Promise<{ response: Response; body: Buffer }> {
  const response = await fetch(`${url}/generate?${new URLSearchParams(query)}`);
  return { response, body: Buffer.from(await response.arrayBuffer()) };
}

test("a text becomes a PNG of the wanted size, and the call is counted", async () => {
  const url = await start();
  const { response, body } = await generate(url, { text: "https://tollgate.dev", size: "300" });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("image/png");
  expect(body.subarray(0, 8)).toEqual(PNG_SIGNATURE);
  expect(sizeOf(body)).toEqual([300, 300]);
  expect(await (await fetch(`${url}/served`)).json()).toEqual({ total: 1, byEndpoint: { generate: 1 } });
});

test("margin, level and text each make another code, and the same request the same bytes", async () => {
  const url = await start();
  const bodies = new Set<string>();
  const queries: Record<string, string>[] = [
    { text: "a" },
    { text: "b" },
    { text: "a", margin: "0" },
    { text: "a".repeat(40), level: "L" },
    { text: "a".repeat(40), level: "H" },
  ];
  for (const query of queries) {
    bodies.add((await generate(url, query)).body.toString("base64"));
  }
  expect(bodies.size).toBe(queries.length);
  for (const query of queries) bodies.add((await generate(url, query)).body.toString("base64"));
  expect(bodies.size).toBe(queries.length);
});

test("the largest text of each level is a code, and one byte more is refused and not counted", async () => {
  const url = await start();
  for (const [level, bytes] of Object.entries({ L: 2_953, M: 2_331, Q: 1_663, H: 1_273 })) {
    expect((await generate(url, { level, text: `${"é".repeat(bytes / 2 - 0.5)}e` })).response.status).toBe(200);
    expect((await generate(url, { level, text: `${"é".repeat(bytes / 2 - 0.5)}ee` })).response.status).toBe(400);
  }
  expect(await (await fetch(`${url}/served`)).json()).toMatchObject({ total: 4 });
});

test("a parameter out of range is refused by name", async () => {
  const url = await start();
  const cases: [Record<string, string>, string][] = [
    [{}, "text: "],
    [{ text: "a", size: "63" }, "size: "],
    [{ text: "a", size: "1025" }, "size: "],
    [{ text: "a", size: "1e2" }, "size: "],
    [{ text: "a", margin: "-1" }, "margin: "],
    [{ text: "a", margin: "17" }, "margin: "],
    [{ text: "a", level: "X" }, "level: "],
  ];
  for (const [query, detail] of cases) {
    const { response, body } = await generate(url, query);
    expect(response.status).toBe(400);
    expect(JSON.parse(body.toString())).toMatchObject({ status: 400, detail: expect.stringContaining(detail) });
  }
});

test("other paths and methods are refused, and health is told", async () => {
  const url = await start();
  expect((await fetch(`${url}/generate`, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("a code is made once while it is remembered, and made again when it was forgotten", () => {
  const codes = new CodeCache();
  const options = (text: string) => parseQrOptions(new URLSearchParams({ text }));
  const first = codes.png(options("x"));
  for (let other = 0; other < 255; other += 1) codes.png(options(String(other)));
  expect(codes.png(options("x"))).toBe(first);
  for (let other = 1_000; other < 1_256; other += 1) codes.png(options(String(other)));
  const again = codes.png(options("x"));
  expect(again).not.toBe(first);
  expect(again).toEqual(first);
});

test("the picture is the one that the library's own renderer draws", async () => {
  for (const [text, size] of [
    ["https://tollgate.dev", undefined],
    ["scaled", 500],
    ["x".repeat(1_000), undefined],
  ] as const) {
    const ours = PNG.sync.read(renderCode({ text, size, margin: 4, level: "M" }));
    const theirs = PNG.sync.read(
      await QRCode.toBuffer(text, { margin: 4, ...(size === undefined ? {} : { width: size }) }),
    );
    expect([ours.width, ours.height]).toEqual([theirs.width, theirs.height]);
    expect(ours.data.equals(theirs.data)).toBe(true);
  }
});

test("a size without a pixel for each module is refused", async () => {
  const url = await start();
  const { response, body } = await generate(url, { text: "x".repeat(2_000), size: "64" });
  expect(response.status).toBe(400);
  expect(body.toString()).toContain("size: this text needs at least 177 pixels");
});

test("every endpoint that is sold is in the OpenAPI document", () => {
  const paths = definition.openapi["paths"];
  for (const { path, method } of definition.endpoints) {
    expect(paths).toHaveProperty([path, method.toLowerCase()]);
  }
});
