import { once } from "node:events";
import { createServer } from "node:http";
import { TollgateError } from "@tollgate/kernel";
import type { JWTPayload } from "jose";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { createGatewayVerifier } from "./gatewayVerifier.ts";

const CLAIMS = { sub: "prj_1", key: "key_1", billing_account: "ba_1", scopes: ["qr", "text"] };

async function issuer() {
  const { publicKey, privateKey } = await generateKeyPair("Ed25519");
  const jwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "EdDSA", use: "sig" };
  let fetches = 0;
  const server = createServer((_request, response) => {
    fetches += 1;
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: [jwk] }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const sign = (claims: JWTPayload, options: { expiresIn?: string; key?: typeof privateKey } = {}): Promise<string> =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "EdDSA", kid: "k1" })
      .setExpirationTime(options.expiresIn ?? "60s")
      .sign(options.key ?? privateKey);
  return { jwksUrl: `http://127.0.0.1:${address.port}/jwks.json`, sign, fetches: () => fetches };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test("a token of the gateway says who calls, and the keys are fetched once for many calls", async () => {
  const { jwksUrl, sign, fetches } = await issuer();
  const verify = createGatewayVerifier({ jwksUrl });
  const token = await sign(CLAIMS);
  expect(await verify({ ...bearer(token), "tollgate-call-id": "call_1" })).toEqual({
    projectId: "prj_1",
    keyId: "key_1",
    billingAccountId: "ba_1",
    scopes: ["qr", "text"],
    callId: "call_1",
  });
  expect((await verify(bearer(token))).callId).toBeNull();
  expect(fetches()).toBe(1);
});

test("a token beside the upstream's own credential is found", async () => {
  const { jwksUrl, sign } = await issuer();
  const verify = createGatewayVerifier({ jwksUrl });
  const headers = { authorization: "Basic b3Vycw==", "tollgate-authorization": `Bearer ${await sign(CLAIMS)}` };
  expect(await verify(headers)).toMatchObject({ projectId: "prj_1" });
});

test("a signed call id counts more than the header's", async () => {
  const { jwksUrl, sign } = await issuer();
  const caller = await createGatewayVerifier({ jwksUrl })({
    ...bearer(await sign({ ...CLAIMS, call: "call_signed" })),
    "tollgate-call-id": "call_header",
  });
  expect(caller.callId).toBe("call_signed");
});

test("a request without a token, with an expired, a foreign or an incomplete one is unauthorized", async () => {
  const { jwksUrl, sign } = await issuer();
  const verify = createGatewayVerifier({ jwksUrl });
  const { privateKey: foreignKey } = await generateKeyPair("Ed25519");
  const refused = [
    {},
    { authorization: "Basic abc" },
    bearer("not.a.token"),
    bearer(await sign(CLAIMS, { expiresIn: "-10s" })),
    bearer(await sign(CLAIMS, { key: foreignKey })),
    bearer(await sign({ sub: "prj_1" })),
    bearer(await sign({ ...CLAIMS, scopes: "qr" })),
  ];
  for (const headers of refused) {
    const error = await failure(verify(headers));
    expect(error).toBeInstanceOf(TollgateError);
    expect(error).toMatchObject({ code: "UNAUTHORIZED" });
  }
});

test("a token for another audience is refused where an audience is required", async () => {
  const { jwksUrl, sign } = await issuer();
  const verify = createGatewayVerifier({ jwksUrl, audience: "qr" });
  expect(await failure(verify(bearer(await sign({ ...CLAIMS, aud: "text" }))))).toMatchObject({ code: "UNAUTHORIZED" });
  expect(await verify(bearer(await sign({ ...CLAIMS, aud: "qr" })))).toMatchObject({ projectId: "prj_1" });
});

test("keys that cannot be fetched are an outage, not a bad token", async () => {
  const { sign } = await issuer();
  const verify = createGatewayVerifier({ jwksUrl: "http://127.0.0.1:1/jwks.json" });
  expect(await failure(verify(bearer(await sign(CLAIMS))))).toMatchObject({
    code: "UNAVAILABLE",
    reason: "jwks_unavailable",
  });
});
