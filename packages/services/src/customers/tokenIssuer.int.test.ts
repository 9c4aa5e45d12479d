import { schema } from "@tollgate/db";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture } from "../../test/serviceFixture.ts";
import { createTokenIssuer } from "./tokenIssuer.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const claims = { customerId: "cus_12345678", sessionId: "ses_12345678", isOperator: false };

test("processes that need the first signing key at once agree on one", async () => {
  const { database } = fixture.as();
  const issuers = Array.from({ length: 6 }, () =>
    createTokenIssuer({ database, settings: fixture.settings, clock: fixture.clock }),
  );
  const tokens = await Promise.all(issuers.map((issuer) => issuer.issueAccessToken(claims)));
  expect(await database.db.select().from(schema.signingKeys)).toHaveLength(1);
  for (const issuer of issuers) {
    for (const { accessToken } of tokens) {
      expect(await issuer.verifyAccessToken(accessToken)).toMatchObject(claims);
    }
  }
});

test("an access token lives for 15 minutes and not a second more", async () => {
  const { tokenIssuer } = fixture.as();
  const { accessToken, expiresAt } = await tokenIssuer.issueAccessToken(claims);
  expect(expiresAt.getTime() - fixture.clock.nowMs()).toBe(15 * 60_000);
  fixture.clock.advanceMs(15 * 60_000 - 1_000);
  await expect(tokenIssuer.verifyAccessToken(accessToken)).resolves.toMatchObject(claims);
  fixture.clock.advanceMs(1_000);
  await expect(tokenIssuer.verifyAccessToken(accessToken)).rejects.toMatchObject({
    code: "UNAUTHORIZED",
    reason: "token_expired",
  });
});

test("a token that was changed, was signed by nobody or says nothing is refused", async () => {
  const { tokenIssuer } = fixture.as();
  const { accessToken } = await tokenIssuer.issueAccessToken(claims);
  const [header = "", payload = "", signature = ""] = accessToken.split(".");
  const operator = Buffer.from(
    JSON.stringify({ ...JSON.parse(Buffer.from(payload, "base64url").toString()), op: true }),
  ).toString("base64url");
  const unsigned = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt" })).toString("base64url");
  const otherKey = Buffer.from(JSON.stringify({ alg: "EdDSA", typ: "at+jwt", kid: "sig_unknown" })).toString(
    "base64url",
  );
  for (const forged of [
    `${header}.${operator}.${signature}`,
    `${unsigned}.${payload}.`,
    `${otherKey}.${payload}.${signature}`,
    `${header}.${payload}`,
    "not a token",
    "",
  ]) {
    await expect(tokenIssuer.verifyAccessToken(forged)).rejects.toMatchObject({ reason: "invalid_token" });
  }
});

test("an upstream verifies its token with the JWKS, and cannot sign in with it", async () => {
  const { tokenIssuer } = fixture.as();
  const token = await tokenIssuer.signUpstreamToken({
    projectId: "prj_12345678",
    keyId: "key_12345678",
    scopes: ["*"],
    billingAccountId: "ba_12345678",
    api: "weather",
  });
  const jwks = await tokenIssuer.getJwks();
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [...jwks.keys] }), {
    currentDate: fixture.clock.now(),
    issuer: fixture.settings.publicApiUrl,
    audience: "weather",
  });
  expect(payload).toMatchObject({
    sub: "prj_12345678",
    key: "key_12345678",
    scopes: ["*"],
    billing_account: "ba_12345678",
  });
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
  await expect(tokenIssuer.verifyAccessToken(token)).rejects.toMatchObject({ reason: "invalid_token" });
});

test("private halves are sealed in the database and absent from the JWKS", async () => {
  const { tokenIssuer, db } = fixture.as();
  for (const key of (await tokenIssuer.getJwks()).keys) expect(key).not.toHaveProperty("d");
  for (const row of await db.select().from(schema.signingKeys)) {
    expect(row.publicJwk).not.toHaveProperty("d");
    expect(row.privateSealed).toMatch(/^v1\./);
  }
});

test("a process with another master secret says that the key is sealed under another one", async () => {
  const { database } = fixture.as();
  const stranger = createTokenIssuer({
    database,
    settings: { ...fixture.settings, masterSecret: "another secret of the proper length" },
    clock: fixture.clock,
  });
  await expect(stranger.issueAccessToken(claims)).rejects.toThrow(/another master secret/);
});
