import { Agent, request } from "node:http";
import type { ReadyInfo } from "@tollgate/dev/system";
import postgres from "postgres";

/**
 * A customer as the outside sees one: it signs up by mail, gets a key and calls the gateway, with nothing but what
 * `ready.json` says. The promises are measured through it, never from inside.
 */
export interface Stranger {
  readonly email: string;
  readonly accessToken: string;
  readonly projectId: string;
  readonly billingAccountId: string;
  readonly key: string;
}

/** Of every stranger. */
export const PASSWORD = "correct horse battery staple";

type Json = Record<string, unknown>;

/** Calls a procedure over REST. @throws Error with the problem's text */
export async function callRest(apiUrl: string, path: string, input: Json, token?: string): Promise<Json> {
  const response = await fetch(`${apiUrl}/rest/${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(input),
  });
  const body = (await response.json()) as Json;
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${JSON.stringify(body)}`);
  return body;
}

/** Signs up with a mailed code and makes a key, as anyone can. */
export async function signUp(ready: ReadyInfo, name: string): Promise<Stranger> {
  const email = `${name}.${Math.random().toString(36).slice(2)}@example.com`;
  await callRest(ready.apiUrl, "onboarding/sendVerificationEmail", { email });
  const code = await readCode(ready.mailUrl, email);
  const signedUp = await callRest(ready.apiUrl, "onboarding/completeSignup", {
    email,
    code,
    password: PASSWORD,
  });
  const accessToken = String(signedUp["accessToken"]);
  const me = await callRest(ready.apiUrl, "customers/me", {}, accessToken);
  const projectId = idOf(me["projects"]);
  const billingAccountId = idOf(me["billingAccounts"]);
  const generated = await callRest(
    ready.apiUrl,
    "keys/generate",
    { projectId, name: "promises", scopes: ["*"], mode: "live" },
    accessToken,
  );
  return { email, accessToken, projectId, billingAccountId, key: String(generated["key"]) };
}

/** The operator gives an account credit. */
export async function addCredit(ready: ReadyInfo, billingAccountId: string, micros: bigint): Promise<void> {
  const { accessToken } = await callRest(ready.apiUrl, "customers/login", { ...ready.admin });
  const input = {
    billingAccountId,
    micros: micros.toString(),
    reference: "credit for a test",
    visible: true,
    idempotencyKey: `promise-${Math.random()}`,
  };
  await callRest(ready.apiUrl, "balance/increment", input, String(accessToken));
}

/**
 * Puts an account on the tier of the highest rates, before its first call: what is measured with it is not how fast it may
 * call. Nobody can subscribe to a tier without paying, so this is done in the database.
 */
export async function allowHighRates(ready: ReadyInfo, billingAccountId: string): Promise<void> {
  const sql = postgres(ready.databaseUrl, { max: 1 });
  try {
    await sql`update billing_accounts set tier_id = 'business' where id = ${billingAccountId}`;
  } finally {
    await sql.end();
  }
}

async function readCode(mailUrl: string, email: string): Promise<string> {
  return eventually(`a mail to ${email}`, async () => {
    const response = await fetch(`${mailUrl}/messages?to=${encodeURIComponent(email)}`);
    const [message] = (await response.json()) as { text: string }[];
    return /\b([A-Z0-9]{8}|[A-Za-z0-9]{8})\b/.exec(
      message?.text.split("\n").find((line) => /^\s*[A-Za-z0-9]{8}\s*$/.test(line)) ?? "",
    )?.[1];
  });
}

function idOf(list: unknown): string {
  const [first] = list as Json[];
  return String(first?.["id"] ?? first?.["projectId"] ?? first?.["billingAccountId"]);
}

/** Asks until there is an answer. @throws Error when there is none in time */
export async function eventually<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined | false>,
  timeoutMs = 30_000,
): Promise<Answer> {
  const giveUpAt = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > giveUpAt) throw new Error(`${what} did not come within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What became of one call: its status, or 0 when the connection broke before the whole answer had come. */
export interface CallResult {
  readonly status: number;
  readonly code: string;
  readonly priceMicros: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 512 });

/** One call, read to its end. */
export function callGateway(
  url: string,
  key: string,
  options: { readonly method?: string; readonly body?: string } = {},
): Promise<CallResult> {
  return new Promise((resolve) => {
    const broken = (): void => resolve({ status: 0, code: "", priceMicros: 0 });
    const headers = {
      authorization: `Bearer ${key}`,
      ...(options.body === undefined ? {} : { "content-type": "application/json" }),
    };
    const call = request(url, { agent, method: options.method ?? "GET", headers, timeout: 40_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", broken);
      response.on("aborted", broken);
      response.on("end", () => {
        if (!response.complete) return broken();
        const status = response.statusCode ?? 0;
        const code = status >= 400 ? codeOf(Buffer.concat(chunks).toString("utf8")) : "";
        resolve({ status, code, priceMicros: Number(response.headers["tollgate-price"] ?? 0) });
      });
    });
    call.on("timeout", () => call.destroy());
    call.on("error", broken);
    call.end(options.body);
  });
}

function codeOf(body: string): string {
  try {
    return String((JSON.parse(body) as Json)["code"]);
  } catch {
    return "";
  }
}

/** Ends a process as a crash would, without a word. One that has just died of something else is as dead. */
export function kill(pid: number | undefined): void {
  if (pid === undefined) throw new Error("Nothing to kill");
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It died of the previous kill and its successor is not written down yet.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
