import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { callGateway, callRest, eventually, kill } from "./stranger.ts";
import { readLogs, readSecretVariables, UsedSecrets } from "./usedSecrets.ts";

/**
 * No log says what it must not: a whole run, with everything that can go wrong in it, at the level at which most is
 * logged. What was used is noted as it is used, and looked for in what every process has written.
 */
const PROGRAMS = ["api", "gateway", "workers", "seed", "migrate", "helloworld", "qr", "text"];
type Json = Record<string, unknown>;

let system: System;
let dir: string;
const used = new UsedSecrets();

beforeAll(async () => {
  vi.stubEnv("LOG_LEVEL", "debug");
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-quiet-"));
  system = await startSystem({ dir, gateways: 1, ports: "ephemeral", log: () => undefined });
});

afterAll(async () => {
  await system?.stop();
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

const rest = (procedure: string, input: Json, token?: string): Promise<Json> =>
  callRest(system.ready.apiUrl, procedure, input, token);
/** For calls that are refused, or that nobody can answer. */
const refused = (procedure: string, input: Json, token?: string): Promise<unknown> =>
  rest(procedure, input, token).catch(() => undefined);
const unique = (): string => Math.random().toString(36).slice(2, 12);

/** The text of the newest mail to an address that has what is looked for. */
const readMail = (email: string, pattern: RegExp): Promise<string> =>
  eventually(`a mail to ${email}`, async () => {
    const response = await fetch(`${system.ready.mailUrl}/messages?to=${encodeURIComponent(email)}`);
    const mails = ((await response.json()) as { text: string }[]).reverse();
    return mails.map(({ text }) => pattern.exec(text)?.[1]).find((match) => match !== undefined);
  });

interface Person {
  readonly email: string;
  readonly password: string;
  readonly token: string;
  readonly refreshToken: string;
  readonly customerId: string;
  readonly projectId: string;
  readonly billingAccountId: string;
}

async function signUp(): Promise<Person> {
  const email = used.keep("an address", `quintessa.${unique()}@example.com`);
  const password = used.keep("a password", `open sesame ${unique()}`);
  await rest("onboarding/sendVerificationEmail", { email });
  const code = used.keep("a code", await readMail(email, /^\s*([A-Za-z0-9]{8})\s*$/m));
  const wrongCode = used.keep("a wrong code", [...code].reverse().join(""));
  await refused("onboarding/completeSignup", { email, code: wrongCode, password });
  await refused("onboarding/completeSignup", { email, code, password: "short" });
  const signedUp = await rest("onboarding/completeSignup", { email, code, password });
  const token = used.keep("an access token", signedUp["accessToken"]);
  const refreshToken = used.keep("a refresh token", signedUp["refreshToken"]);
  const me = await rest("customers/me", {}, token);
  const name = used.keep("a name", `Quintessa Loglesworth ${unique()}`);
  await rest("customers/updateName", { name }, token);
  const [project] = me["projects"] as Json[];
  const [account] = me["billingAccounts"] as Json[];
  return {
    ...{ email, password, token, refreshToken },
    customerId: String((me["customer"] as Json)["id"]),
    projectId: String(project?.["id"]),
    billingAccountId: String(account?.["id"]),
  };
}

/** Signing in, rightly and wrongly, and getting back in. */
async function signInAndRecover({ email, password, refreshToken }: Person): Promise<void> {
  await rest("customers/login", { email, password });
  await refused("customers/login", { email, password: used.keep("a wrong password", `open sesame ${unique()}`) });
  await refused("customers/login", {
    email: used.keep("an unknown address", `nobody.${unique()}@example.com`),
    password,
  });
  const refreshed = await rest("customers/refresh", { refreshToken });
  used.keep("a refreshed token", refreshed["accessToken"]);
  used.keep("a second refresh token", refreshed["refreshToken"]);
  await rest("onboarding/recover", { email });
  const resetToken = used.keep("a token of recovery", await readMail(email, /token=([\w.~-]{16,})/));
  await refused("onboarding/resetPassword", { token: `${resetToken}x`, password });
  await refused("onboarding/resetPassword", { token: resetToken, password: "short" });
  await refused("customers/me", {}, used.keep("a wrong access token", `${String(refreshed["accessToken"])}x`));
}

async function signInWithProvider(): Promise<void> {
  const email = used.keep("an address at a provider", `quentin.${unique()}@example.com`);
  const started = await rest("oauth/start", { provider: "google" });
  const binding = used.keep("a binding", started["binding"]);
  const authorized = await fetch(`${String(started["url"])}&as=${encodeURIComponent(email)}`, { redirect: "manual" });
  const query = new URL(authorized.headers.get("location") ?? "").searchParams;
  const code = used.keep("a code of a provider", query.get("code"));
  const state = used.keep("a state", query.get("state"));
  await refused("oauth/complete", { provider: "google", code: `${code}x`, state, binding });
  await refused("oauth/complete", { provider: "google", code, state, binding: `${binding}x` });
  await refused("oauth/complete", { provider: "google", code, state, binding });
}

/** What a project has that is secret or about people. */
async function useProject({ token, projectId, billingAccountId }: Person): Promise<string> {
  const key = used.keep("a key", (await rest("keys/generate", { projectId, name: "quiet" }, token))["key"]);
  const invited = used.keep("an invited address", `quimby.${unique()}@example.com`);
  await rest("projects/invite", { projectId, email: invited, role: "viewer" }, token);
  const line1 = used.keep("a street", `Quiet Lane ${unique()}`);
  const address = { line1, city: "Quietville", postalCode: "12345", country: "DE" };
  const taxId = used.keep("a tax id", `DE${unique()}`);
  await rest("billing/updateAccount", { billingAccountId, address, taxId }, token);
  const setup = await rest("payments/setupCard", { billingAccountId }, token);
  used.keep("a secret of a card's setup", setup["clientSecret"]);
  const pathOfUrl = used.keep("the path of a URL", `hook-${unique()}${unique()}`);
  const url = `http://127.0.0.1:9/${pathOfUrl}`;
  const created = await rest("webhooks/createEndpoint", { projectId, url, events: ["*"] }, token);
  used.keep("a secret of a webhook", created["secret"]);
  const { id } = created["endpoint"] as Json;
  used.keep("a rotated secret", (await rest("webhooks/rotateSecret", { id }, token))["secret"]);
  await rest("webhooks/sendTest", { id }, token);
  const channels = [{ kind: "slack", url }];
  await rest("alerts/createRule", { projectId, kind: "noUsage", name: "silence", channels }, token);
  return key;
}

/** A key in every place that a caller may put it, rightly or not. */
async function callWith(key: string): Promise<void> {
  const { gatewayUrl } = system.ready;
  const url = `${gatewayUrl}/v1/qr/generate?text=quiet`;
  expect((await callGateway(url, key)).status).not.toBe(401);
  const wrong = used.keep("a wrong key", `${key.slice(0, -6)}000000`);
  await callGateway(url, wrong);
  await callGateway(`${url}&key=${key}`, `Bearer ${key}`);
  await callGateway(`${gatewayUrl}/v1/${key}/generate`, "none");
  const basic = `Basic ${Buffer.from(`anything:${key}`).toString("base64")}`;
  for (const authorization of [basic, key, `${basic}x`]) await fetch(url, { headers: { authorization } });
  await openSocket(`${gatewayUrl}/v1/text/count`, key);
  await openSocket(`${gatewayUrl}/v1/text/count`, wrong);
  // An upstream that has just died fails calls before the registry knows.
  kill(system.ready.pids.examples["text"]);
  const body = JSON.stringify({ text: used.keep("what a caller sent", `whisper ${unique()}`) });
  await callGateway(`${gatewayUrl}/v1/text/count`, key, { method: "POST", body });
}

/** A handshake of a WebSocket, which carries its key as a protocol; whatever is answered. */
const openSocket = (url: string, key: string): Promise<void> =>
  new Promise((resolve) => {
    const headers = {
      ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
      ...{ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": key },
    };
    const handshake = request(url, { headers });
    handshake.on("upgrade", (_, socket) => resolve(void socket.destroy()));
    handshake.on("response", (response) => resolve(void response.destroy()));
    handshake.on("error", () => resolve());
    handshake.end();
  });

/** What operators and services do with secrets. */
async function operate({ customerId, projectId }: Person, key: string, serviceToken: string): Promise<void> {
  const signedIn = await rest("customers/login", { ...system.ready.admin });
  const operator = used.keep("an operator's token", signedIn["accessToken"]);
  const value = used.keep("a secret of the vault", `vault-${unique()}${unique()}`);
  await rest("admin/secrets/set", { api: "qr", name: "X-Api-Key", value }, operator);
  await refused("admin/secrets/set", { api: "qr", name: "Host", value }, operator);
  const seen = await rest("admin/impersonate", { customerId, reason: "a test" }, operator);
  const impersonating = used.keep("a token of impersonation", seen["accessToken"]);
  await refused("projects/rename", { id: projectId, name: "no" }, impersonating);
  await rest("keys/verify", { key, api: "qr" }, serviceToken);
  await refused("keys/verify", { key, api: "qr" }, `${serviceToken}x`);
  const reported = used.keep("a reported key", `tg_live_${unique().padEnd(32, "a")}000000`);
  await refused("keys/reportLeaked", { key: reported });
}

/** Bodies that are none, with secrets in them. */
async function sendMalformed({ email, password, token }: Person, key: string, serviceToken: string): Promise<void> {
  const { apiUrl } = system.ready;
  const post = (pathname: string, body: string, headers: Record<string, string> = {}): Promise<unknown> =>
    fetch(`${apiUrl}${pathname}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
  await post("/rest/customers/login", `{"email":"${email}","password":"${password}"`);
  await post("/trpc/customers.login", `{"email":"${email}","password":["${password}"]}`);
  await post("/rest/keys/generate", `{"projectId":"${key}","name":"${email}"}`, { authorization: `Bearer ${token}` });
  await post(`/rest/nothing?token=${token}`, "{}", { authorization: `Bearer ${token}` });
  await post(`/${key}`, `key=${key}`);
  await post("/v1/events", `{"data":{"who":"${email}"}}`, { authorization: `Bearer ${serviceToken}` });
  await post("/webhooks/stripe", `{"id":"evt_1","data":{"object":{"email":"${email}"}}}`, {
    "stripe-signature": `t=1,v1=${used.keep("a signature", "0f".repeat(32))}`,
  });
}

/** What carries secrets to the database, in places where it may be refused. */
async function callEverything(person: Person, key: string, operator: string): Promise<void> {
  const { email, password, token, refreshToken, projectId } = person;
  const stranger = used.keep("an address that nobody keeps", `quick.${unique()}@example.com`);
  const name = used.keep("a name that nobody keeps", `Quick Quentin ${unique()}`);
  const code = used.keep("a code that nobody can check", "QX7PTR4M");
  const value = used.keep("a secret that nobody keeps", `vault-${unique()}${unique()}`);
  const { gatewayUrl } = system.ready;
  await Promise.all([
    refused("customers/login", { email, password }),
    refused("customers/updateName", { name }, token),
    refused("customers/refresh", { refreshToken: `${refreshToken}x` }),
    refused("onboarding/sendVerificationEmail", { email: stranger }),
    refused("onboarding/completeSignup", { email: stranger, code, password }),
    refused("onboarding/resetPassword", { token: code, password }),
    refused("customers/create", { email: stranger, name }, operator),
    refused("keys/generate", { projectId, name }, token),
    refused("projects/invite", { projectId, email: stranger, role: "viewer" }, token),
    refused("admin/secrets/set", { api: "qr", name: "X-Api-Key", value }, operator),
    refused("webhooks/createEndpoint", { projectId, url: `http://127.0.0.1:9/${value}`, events: ["*"] }, token),
    callGateway(`${gatewayUrl}/v1/qr/generate?text=down`, `${key.slice(0, -8)}99999999`),
    callGateway(`${gatewayUrl}/v1/qr/generate?text=down`, key),
  ]);
}

/** With servers that are not there, and with a database that refuses: its errors quote statements, values and rows. */
async function breakEverything(person: Person, key: string, operator: string): Promise<void> {
  const isWhole = () => rest("customers/me", {}, person.token);
  for (const victim of ["postgres", "redis", "nats"] as const) kill(system.ready.pids[victim]);
  await callEverything(person, key, operator);
  await eventually("a database", isWhole);
  const sql = postgres(system.ready.databaseUrl, { max: 1, onnotice: () => undefined });
  try {
    for (const table of ["audit_log", "emails", "keys", "customers", "verifications", "upstream_secrets"]) {
      await sql.unsafe(`alter table ${table} add constraint never check (false) not valid`);
      await callEverything(person, key, operator);
      await sql.unsafe(`alter table ${table} drop constraint never`);
      await sql.unsafe(`alter table ${table} rename to away`);
      await callEverything(person, key, operator);
      await sql.unsafe(`alter table away rename to ${table}`);
    }
  } finally {
    await sql.end();
  }
  await eventually("a database that is whole", isWhole);
}

/** Asks for a code with a request id of one's own, and waits until the mail is there. */
async function signUpAs(requestId: string): Promise<void> {
  const email = used.keep("an address", `newcomer.${unique()}@example.com`);
  const headers = { "content-type": "application/json", "x-request-id": requestId };
  const url = `${system.ready.apiUrl}/rest/onboarding/sendVerificationEmail`;
  await fetch(url, { method: "POST", headers, body: JSON.stringify({ email }) });
  used.keep("a code", await readMail(email, /^\s*([A-Za-z0-9]{8})\s*$/m));
}

test("no log of any process says a secret or whom it is about, whatever is called and whatever fails", async () => {
  for (const program of ["api", "gateway-1", "workers", "qr"]) {
    for (const [name, value] of await readSecretVariables(dir, program)) used.keep(name, value);
  }
  const { admin, demo } = system.ready;
  for (const [what, value] of Object.entries({ ...admin, ...demo })) if (!/Id$/.test(what)) used.keep(what, value);
  const serviceToken = (await readSecretVariables(dir, "qr")).get("TOLLGATE_SERVICE_TOKEN") ?? "";
  const person = await signUp();
  const key = await useProject(person);
  await signInWithProvider();
  await callWith(key);
  await operate(person, key, serviceToken);
  await sendMalformed(person, key, serviceToken);
  const { accessToken } = await rest("customers/login", { ...admin });
  await breakEverything(person, key, used.keep("a second token of an operator", accessToken));
  await signInAndRecover(person);
  await signUpAs("req-of-a-newcomer");
  await system.stop();

  const logs = await readLogs(dir, PROGRAMS);
  const all = [...logs.values()].join("\n");
  // It was logged what failed, in every process, or nothing would be proven.
  expect([...logs.keys()]).toEqual(expect.arrayContaining(["api", "gateway-1", "workers", "seed"]));
  const said = ["call refused", "call failed", "job done", "upstream failed", "Failed query"];
  expect(said.filter((words) => !all.includes(words))).toEqual([]);
  const lines = (logs.get("workers") ?? "").split("\n").filter((line) => line.startsWith("{"));
  const ofNewcomer = lines.map((line) => JSON.parse(line)).filter(({ requestId }) => requestId === "req-of-a-newcomer");
  expect(ofNewcomer).toContainEqual(expect.objectContaining({ task: "emails.send", msg: "job done" }));
  const found = Object.fromEntries([...logs].map(([name, text]) => [name, used.findIn(text)]));
  expect(found).toEqual(Object.fromEntries([...logs.keys()].map((name) => [name, []])));
  expect(used.count).toBeGreaterThan(40);
});
