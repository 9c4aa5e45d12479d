import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import type { OauthStandIns } from "@tollgate/dev/oauth-stand-ins";
import { startOauthStandIns } from "@tollgate/dev/oauth-stand-ins";
import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import type { ServiceSettings } from "@tollgate/services";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { seedTiers } from "@tollgate/services/billing";
import { createAccessTokenAuthenticator, createTokenIssuer } from "@tollgate/services/customers";
import { createOauthProviders } from "@tollgate/services/oauth";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, testUrls } from "@tollgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestConfig } from "../test/testConfig.ts";
import { openTestConfig } from "../test/testConfig.ts";
import { ServiceTokens } from "./authentication.ts";
import type { ApiServer } from "./createApiServer.ts";
import { createApiServer } from "./createApiServer.ts";

/** Signing in with a provider as a browser does it: over HTTP, page by page. */
const FRONT_END = "https://app.example.com";
const settings: ServiceSettings = {
  masterSecret: "0123456789abcdef0123456789abcdef",
  publicApiUrl: "http://api.test",
  publicGatewayUrl: "http://gateway.test",
  publicWebUrl: FRONT_END,
  ...LIVE_SETTING_DEFAULTS,
};

let testDatabase: TestDatabase;
let database: Database;
let standIns: OauthStandIns;
let api: ApiServer;
let testConfig: TestConfig;
let url: string;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "api-oauth-test" });
  standIns = await startOauthStandIns({ google: 0, github: 0 });
  const clock = systemClock;
  const actor = { kind: "system", task: "seed" } as const;
  const inner = { clock, logger: silentLogger, actor, requestId: newId("request"), database, db: database.db };
  await seedTiers({ ctx: { ...inner, isInTransaction: false, settings } });
  const tokenIssuer = createTokenIssuer({ database, settings, clock });
  const { redisUrl, natsUrl, etcdUrl } = testUrls();
  const { google, github } = standIns;
  testConfig = await openTestConfig(database, clock);
  api = await createApiServer({
    resources: {
      database,
      clock,
      logger: silentLogger,
      settings,
      config: testConfig.config,
      tokenIssuer,
      oauthProviders: createOauthProviders({
        registrations: { google: { ...google, baseUrl: google.url }, github: { ...github, baseUrl: github.url } },
        publicApiUrl: settings.publicApiUrl,
        returnOrigins: [FRONT_END],
        allowsLocalhost: false,
      }),
      accessTokens: createAccessTokenAuthenticator({ database, tokenIssuer, clock }),
      serviceTokens: new ServiceTokens(new Map()),
      trustedProxyHops: 0,
    },
    dependencies: { redisUrl, natsUrl, etcdUrl },
    cors: { origins: [FRONT_END], allowsLocalhost: false },
  });
  ({ url } = await api.listen("127.0.0.1", 0));
});

afterAll(async () => {
  await api.close(1_000);
  testConfig.close();
  await standIns.stop();
  await database.close();
  await testDatabase.drop();
});

const fromPage = { origin: FRONT_END };

async function rest(procedure: string, input: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/rest/oauth/${procedure}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(input),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

/** Follows one redirect. The callback is registered under the public address, and served here. */
async function follow(from: string): Promise<URL> {
  const response = await fetch(from.replace(settings.publicApiUrl, url), { redirect: "manual" });
  expect(response.status).toBeGreaterThanOrEqual(302);
  return new URL(response.headers.get("location") ?? "");
}

const as = (authorizeUrl: string | undefined, email: string, more = ""): string =>
  `${authorizeUrl}&as=${encodeURIComponent(email)}${more}`;

describe.each(["google", "github"])("a browser that signs in with %s", (provider) => {
  it("goes to the provider, back to the API, on to its page, and is signed in there", async () => {
    const redirectTo = `${FRONT_END}/sign-in?from=%2Fkeys`;
    const started = await rest("start", { provider, redirectTo }, fromPage);
    const callback = await follow(as(started.body["url"], `${provider}-page@example.com`));
    expect(callback.href).toMatch(new RegExp(`^http://api\\.test/oauth/callback/${provider}\\?`));
    const page = await follow(callback.href);
    expect(page.href.startsWith(`${redirectTo}&`)).toBe(true);
    const answer = {
      provider: page.searchParams.get("provider"),
      code: page.searchParams.get("code"),
      state: page.searchParams.get("state"),
    };
    const lured = await rest("complete", answer, fromPage);
    expect(lured).toMatchObject({ status: 400, body: { code: "invalid_state" } });
    const { binding } = started.body;
    const signedIn = await rest("complete", { ...answer, binding }, fromPage);
    expect(signedIn).toMatchObject({ status: 200, body: { isSignup: true, refreshToken: expect.any(String) } });
    const listed = await rest("list", {}, { authorization: `Bearer ${signedIn.body["accessToken"]}` });
    expect(listed.body).toMatchObject({
      items: [{ provider, email: `${provider}-page@example.com` }],
      hasPassword: false,
    });
  });

  it("comes back to its page without a code when it said no", async () => {
    const started = await rest("start", { provider, redirectTo: `${FRONT_END}/sign-in` }, fromPage);
    const page = await follow((await follow(as(started.body["url"], "no@example.com", "&deny=1"))).href);
    expect(page.href).toBe(`${FRONT_END}/sign-in?provider=${provider}&error=access_denied`);
  });

  it("is a program when no browser sends it: it finishes with the code and state alone", async () => {
    const started = await rest("start", { provider });
    const callback = await follow(as(started.body["url"], `${provider}-cli@example.com`));
    const { code, state } = Object.fromEntries(callback.searchParams);
    expect(await rest("complete", { provider, code, state })).toMatchObject({ status: 200, body: { isSignup: true } });
    expect(await rest("complete", { provider, code, state })).toMatchObject({ status: 400 });
  });
});

describe("the callback", () => {
  it("sends an answer that nobody asked for to the dashboard, without its code", async () => {
    const page = await follow(`${url}/oauth/callback/google?code=stolen&state=unknown`);
    expect(page.href).toBe(`${FRONT_END}/oauth/return?provider=google&error=invalid_state`);
    const odd = await follow(`${url}/oauth/callback/github?state=a&state=b&code=%00`);
    expect(odd.searchParams.get("error")).toBe("invalid_state");
  });

  it("is not there for a provider that does not exist", async () => {
    expect((await fetch(`${url}/oauth/callback/nobody?code=a&state=b`)).status).toBe(404);
  });

  it("sends nobody to a page of somebody else", async () => {
    const refused = await rest("start", { provider: "google", redirectTo: "https://evil.example/" }, fromPage);
    expect(refused).toMatchObject({ status: 400, body: { issues: [{ path: "redirectTo" }] } });
  });
});
