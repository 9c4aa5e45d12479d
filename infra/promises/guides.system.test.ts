import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { choosePort } from "@tollgate/dev/servers";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Bench } from "./samples.ts";
import { openBench } from "./samples.ts";
import type { Stranger } from "./stranger.ts";
import { addCredit, callRest, eventually, PASSWORD, signUp } from "./stranger.ts";
import { readSecretVariables } from "./usedSecrets.ts";

/** The code of the guides does what they say, as it stands there. */
let system: System;
let dir: string;
let bench: Bench;
let stranger: Stranger;
let serviceToken: string;
let operator: string;
let receiver: Awaited<ReturnType<typeof startReceiver>>;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-guides-"));
  system = await startSystem({ dir, gateways: 1, ports: "ephemeral", log: () => undefined });
  stranger = await signUp(system.ready, "guides");
  await addCredit(system.ready, stranger.billingAccountId, 1_000_000n);
  serviceToken = (await readSecretVariables(dir, "qr")).get("TOLLGATE_SERVICE_TOKEN") ?? "";
  operator = String((await callRest(system.ready.apiUrl, "customers/login", { ...system.ready.admin }))["accessToken"]);
  receiver = await startReceiver();
  bench = await openBench({
    "http://127.0.0.1:4000": system.ready.apiUrl,
    "http://127.0.0.1:4100": system.ready.gatewayUrl,
    "http://127.0.0.1:4300": system.ready.mailUrl,
    "https://example.com/webhooks": receiver.url,
    "ann@example.com": stranger.email,
    "prj_…": stranger.projectId,
    // What is announced in a guide must lie ahead whenever this runs.
    "2027-": "2099-",
  });
});

afterAll(async () => {
  await bench?.close();
  await receiver?.close();
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Where webhooks arrive, each kept as it came. */
async function startReceiver() {
  const deliveries: Delivery[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    deliveries.push({ headers: request.headers, body });
    response.writeHead(204).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`;
  return { url, deliveries, close: () => new Promise((resolve) => server.close(resolve)) };
}

/** What comes before a sample of the typed client that does not sign in by itself. */
const signedIn = (): string => `
import { createTollgateClient } from "@tollgate/client";
const client = createTollgateClient({ url: "${system.ready.apiUrl}", token: "${stranger.accessToken}" });
const projectId = "${stranger.projectId}";
`;
const printed = (expression: string): string =>
  `\nconsole.log(JSON.stringify(${expression}, (_, value) => (typeof value === "bigint" ? String(value) : value)));\n`;

describe("the README and the guides for callers", () => {
  it("sign in and make a key with the typed client, and call with it", async () => {
    const sample = await bench.take("README.md", "ts", "createTollgateClient");
    const { email, projectId } = stranger;
    const given = `const [email, password, projectId] = ${JSON.stringify([email, PASSWORD, projectId])};\n`;
    const { key } = JSON.parse(await bench.module(`${given}${sample}${printed("{ id, key }")}`));
    for (const guide of ["README.md", "docs/guides/call-an-api.md"]) {
      const call = await bench.take(guide, "sh", "qr/generate");
      await bench.shell(call, { KEY: key, GATEWAY: system.ready.gatewayUrl });
      const picture = await readFile(path.join(bench.dir, "qr.png"));
      expect(picture.subarray(1, 4).toString("latin1")).toBe("PNG");
      await rm(path.join(bench.dir, "qr.png"));
    }
    const over = await bench.take("docs/guides/call-an-api.md", "sh", "keys/generate");
    const env = { API: system.ready.apiUrl, ACCESS_TOKEN: stranger.accessToken };
    expect(JSON.parse(await bench.shell(over, env))).toMatchObject({ key: expect.stringMatching(/^tg_live_/) });
  });

  it("read usage, once and as it happens", async () => {
    const guide = "docs/guides/read-your-usage.md";
    const series = `${signedIn()}${await bench.take(guide, "ts", "usage.read")}${printed("usage")}`;
    expect(JSON.parse(await bench.module(series))).toMatchObject({ series: expect.any(Array) });
    const draw = `const draw = (perSecond, today) => {${printed("today")} stream.unsubscribe(); };\n`;
    const live = `${signedIn()}${draw}${await bench.take(guide, "ts", "usage.live")}`;
    expect(JSON.parse(await bench.module(live))).toMatchObject({ calls: expect.any(Number) });
    const curl = (await bench.take(guide, "sh", "usage/live")).replace("curl -N", "curl -N --max-time 2");
    const stream = bench.shell(`${curl.trim()} || true`, {
      TOKEN: stranger.accessToken,
      PROJECT: stranger.projectId,
    });
    expect(await stream).toMatch(/^id: .+\ndata: \{/m);
  });

  it("make a rule that warns", async () => {
    const sample = await bench.take("docs/guides/alerts.md", "ts", "alerts.createRule");
    await bench.module(`${signedIn()}${sample}`);
    const { projectId, accessToken } = stranger;
    const rules = await callRest(system.ready.apiUrl, "alerts/listRules", { projectId }, accessToken);
    expect(rules["items"]).toEqual([
      expect.objectContaining({ kind: "spendAbove", channels: [expect.anything(), expect.anything()] }),
    ]);
  });
});

describe("the guide to alerts", () => {
  it("has a rule whose messages arrive on every channel, when an operator has it looked at", async () => {
    const { apiUrl, mailUrl, demo } = system.ready;
    const sample = await bench.take("docs/guides/alerts.md", "sh", "alerts/createRule");
    const env = { API: apiUrl, DEMO_PASSWORD: demo.password, BILLING_ACCOUNT: demo.billingAccountId };
    expect(JSON.parse(await bench.shell(sample, env))).toMatchObject({ kind: "balanceBelow", state: "unknown" });
    await promote("maintenance", "alerts.evaluate-sweep");
    for (const to of ["slack/alerts", "discord/alerts", "webhooks/alerts", demo.email]) {
      const message = await eventually(
        `a message to ${to}`,
        async () => {
          const messages = await (await fetch(`${mailUrl}/messages?to=${encodeURIComponent(to)}`)).json();
          return (messages as { text: string }[]).find(({ text }) => text.includes("Below a million"));
        },
        90_000,
      );
      expect(message.text).toContain("The balance is ");
    }
  });
});

/** Has a delayed job run now, as an operator does who uses the board of the queues. */
async function promote(queue: string, job: string): Promise<void> {
  const { apiUrl } = system.ready;
  const board = `${apiUrl}/admin/queues`;
  const headers = { authorization: `Bearer ${operator}` };
  const entered = await fetch(`${board}/session`, { method: "POST", headers });
  const cookie = entered.headers.get("set-cookie")?.split(";")[0] ?? "";
  const shown = await fetch(`${board}/api/queues?activeQueue=${queue}&status=delayed&jobsPerPage=100`, {
    headers: { cookie },
  });
  const { queues } = (await shown.json()) as { queues: { name: string; jobs: { id: string; name: string }[] }[] };
  const found = queues.find(({ name }) => name === queue)?.jobs.find(({ name }) => name === job);
  const path = `/api/queues/${queue}/${encodeURIComponent(found?.id ?? "")}/promote`;
  const promoted = await fetch(`${board}${path}`, { method: "PUT", headers: { cookie, origin: apiUrl } });
  if (!promoted.ok) throw new Error(`${job} cannot be promoted: ${promoted.status} ${await promoted.text()}`);
}

describe("the guide to webhooks", () => {
  const guide = "docs/guides/receive-webhooks.md";
  let secret: string;
  let delivery: Delivery;

  beforeAll(async () => {
    const sample = await bench.take(guide, "ts", "webhooks.createEndpoint");
    const made = JSON.parse(await bench.module(`${signedIn()}${sample}${printed("{ endpoint, secret }")}`));
    secret = made.secret;
    await callRest(system.ready.apiUrl, "webhooks/sendTest", { id: made.endpoint.id }, stranger.accessToken);
    delivery = await eventually("a delivery", async () => receiver.deliveries[0]);
  });

  it("has a server for Node that takes what was signed, once it is put aside, and nothing else", async () => {
    const port = await choosePort(undefined);
    const sample = (await bench.take(guide, "js", "createServer")).replace("3000", `${port}`);
    const putAside = `
const putAside = async (id, event) => {
  if (process.env.WEBHOOK_FAILS) throw new Error("full");
  console.log(JSON.stringify({ id, type: event.type }));
};
`;
    const url = `http://127.0.0.1:${port}/webhooks`;
    const post = async (body: string): Promise<number> => {
      const { connection: _, host: __, "content-length": ___, ...headers } = delivery.headers;
      return (await fetch(url, { method: "POST", headers: headers as Record<string, string>, body })).status;
    };
    const running = await bench.start(`${sample}${putAside}`, { WEBHOOK_SECRET: secret });
    expect(await eventually("the server", () => post(delivery.body))).toBe(204);
    const id = delivery.headers["webhook-id"];
    expect(JSON.parse(await running.nextLine())).toEqual({ id, type: "webhooks.test" });
    expect(await post(delivery.body.replace("webhooks.test", "webhooks.fake"))).toBe(400);
    await running.stop();
    const failing = await bench.start(`${sample}${putAside}`, { WEBHOOK_SECRET: secret, WEBHOOK_FAILS: "yes" });
    expect(await eventually("the server", () => post(delivery.body))).toBe(500);
    await failing.stop();
  });

  const hasPython = spawnSync("python3", ["--version"]).status === 0;
  it.runIf(hasPython)("has a function for Python that takes what was signed and nothing else", async () => {
    const sample = await bench.take(guide, "python", "def verify");
    const file = path.join(bench.dir, "verify.py");
    const call =
      "import json, sys\ngiven = json.load(sys.stdin)\nverify(given['secret'], given['headers'], given['body'].encode())\n";
    await writeFile(file, `${sample}${call}`);
    const verify = (body: string): string =>
      execFileSync("python3", [file], {
        input: JSON.stringify({ secret, headers: delivery.headers, body }),
        stdio: "pipe",
      }).toString();
    expect(verify(delivery.body)).toBe("");
    expect(() => verify(delivery.body.replace("webhooks.test", "webhooks.fake"))).toThrow("not signed by us");
  });
});

const WEATHER = {
  openapi: "3.1.0",
  info: { title: "Weather", version: "1" },
  paths: { "/forecast": { get: { responses: { "200": { description: "The forecast" } } } } },
};

describe("the guides for whoever sells", () => {
  it("make, run and sell a service that knows who calls", async () => {
    const guide = "docs/guides/sell-your-first-api.md";
    const openapi = WEATHER;
    const { apiUrl, etcdUrl, gatewayUrl } = system.ready;
    const given = Object.entries({ openapi, apiUrl, etcdUrl, serviceToken });
    const constants = given.map(([name, value]) => `const ${name} = ${JSON.stringify(value)};\n`).join("");
    const definition = await bench.take(guide, "ts", "ApiDefinition");
    const server = await bench.take(guide, "ts", "runUpstream");
    const telling = 'server.on("request", ({ headers }) => console.log(JSON.stringify(headers)));\n';
    const sample = `${constants}${definition}${server}${telling}`;
    const running = await bench.start(sample);
    onTestFinished(async () => void (await running.stop()));
    const headers = { authorization: `Bearer ${stranger.key}` };
    const call = async () => (await fetch(`${gatewayUrl}/v1/weather/forecast`, { headers })).text();
    await eventually("the service on sale", async () => (await call()) === "sunny", 90_000);
    const received = await nextObject(running, "tollgate-call-id");
    const verifying = await bench.take(guide, "ts", "createGatewayVerifier");
    const request = `const request = { headers: ${JSON.stringify(received)} };\n`;
    const printing = printed("{ projectId, keyId, scopes }");
    const verified = JSON.parse(await bench.module(`${constants}${request}${verifying}${printing}`));
    expect(verified).toMatchObject({ projectId: stranger.projectId, scopes: ["*"] });
    expect(await running.stop()).toBe(0);
  });

  it("publish, change and end an API, keep its credential, and have data deleted", async () => {
    const env = { API: system.ready.apiUrl, TOKEN: operator, OPERATOR_TOKEN: operator, OPERATOR: operator };
    const publishing = "docs/guides/publish-an-api.md";
    // Another guide sells an API of that name.
    const takeRenamed = async (...where: Parameters<Bench["take"]>): Promise<string> =>
      (await bench.take(...where)).replaceAll('"weather"', '"climate"');
    const draft = await takeRenamed(publishing, "json", "openapi");
    await writeFile(path.join(bench.dir, "api.json"), draft);
    await bench.shell(await bench.take(publishing, "sh", "catalog/publish"), env);
    // Without a status it is opened.
    const { status: _, ...open } = JSON.parse(draft);
    await writeFile(path.join(bench.dir, "api.json"), JSON.stringify(open));
    const samples = [
      [publishing, "catalog/publish"],
      [publishing, "catalog/update"],
      [publishing, "catalog/deprecate"],
      ["docs/guides/upstream-credentials.md", "secrets/set"],
      ["docs/guides/delete-tenant-data.md", "deleteTenantData"],
      ["docs/guides/operate.md", "openIncident"],
      ["docs/guides/operate.md", "config/set"],
    ] as const;
    for (const [guide, words] of samples) {
      const answer = JSON.parse(await bench.shell(await takeRenamed(guide, "sh", words), env));
      expect({ words, problem: answer.status >= 400 ? answer : undefined }).toEqual({ words, problem: undefined });
    }
    const { apiUrl } = system.ready;
    await callRest(apiUrl, "admin/config/set", { name: "maintenance", value: false }, operator);
    const sending = await bench.take("docs/guides/send-usage-events.md", "sh", "v1/events");
    const sent = await bench.shell(sending, { PROJECT: stranger.projectId, SERVICE_TOKEN: serviceToken });
    expect(JSON.parse(sent)).toMatchObject({ id: "job-1042", status: "accepted" });
  });
});

describe("the guide to the deletion of data", () => {
  it("has a server that deletes what an operator orders, and takes no order from anybody else", async () => {
    const guide = "docs/guides/delete-tenant-data.md";
    const { apiUrl } = system.ready;
    const port = await choosePort(undefined);
    const url = `http://127.0.0.1:${port}/delete-data`;
    const query = "async (text, values) => console.log(JSON.stringify({ text, values }))";
    const sample = (await bench.take(guide, "ts", "createDataDeletionHandler")).replace("8080", `${port}`);
    const running = await bench.start(`const database = { query: ${query} };\n${sample}`, { PUBLIC_API_URL: apiUrl });
    onTestFinished(async () => void (await running.stop()));
    const refused = await eventually("the server", () => fetch(url, { method: "POST" }));
    expect(refused.status).toBe(401);
    const api = {
      ...{ name: "weather", displayName: "Weather", description: "What the weather will be.", category: "data" },
      ...{ openapi: WEATHER, endpoints: [{ name: "forecast", method: "GET", path: "/forecast", priceMicros: "1500" }] },
      deleteDataUrl: url,
    };
    await callRest(apiUrl, "catalog/publish", api, operator);
    await bench.shell(await bench.take(guide, "sh", "deleteTenantData"), { API: apiUrl, OPERATOR: operator });
    const deleted = await nextObject(running, "values");
    expect(deleted["values"]).toEqual([stranger.projectId]);
  });
});

/** The next line of a running sample that is an object with a field. */
async function nextObject(running: { nextLine(): Promise<string> }, field: string): Promise<Record<string, unknown>> {
  for (;;) {
    const line = await running.nextLine();
    if (line === "undefined") throw new Error("The sample has ended");
    const read = line.startsWith("{") ? (JSON.parse(line) as Record<string, unknown>) : {};
    if (field in read) return read;
  }
}
