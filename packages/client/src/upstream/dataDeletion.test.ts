import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer } from "node:http";
import type { JWTPayload } from "jose";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, onTestFinished, test, vi } from "vitest";
import type { DataDeletionOrder } from "./dataDeletion.ts";
import { createDataDeletionHandler, createDataDeletionVerifier } from "./dataDeletion.ts";
import { createGatewayVerifier } from "./gatewayVerifier.ts";

const ORDER = { sub: "prj_1", deletion: "ddl_1", jti: "req_1", aud: "qr", iss: "https://api.example.test" };
const options = { api: "qr", issuer: "https://api.example.test" };

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

async function issuer() {
  const { publicKey, privateKey } = await generateKeyPair("Ed25519");
  const jwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "EdDSA", use: "sig" };
  const url = await serve((_request, response) => {
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: [jwk] }));
  });
  const sign = (claims: JWTPayload, typ = "data-deletion+jwt", key = privateKey, expiresIn = "60s"): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", kid: "k1", typ }).setExpirationTime(expiresIn).sign(key);
  return { jwksUrl: `${url}/jwks.json`, sign, privateKey };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

test("an order says what to delete, once: the same token a second time is refused, a repeated order with a new one is not", async () => {
  const { jwksUrl, sign } = await issuer();
  const verify = createDataDeletionVerifier({ jwksUrl, ...options });
  const token = await sign(ORDER);
  expect(await verify(bearer(token))).toEqual({ projectId: "prj_1", deletionId: "ddl_1" });
  await expect(verify(bearer(token))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(await verify(bearer(await sign({ ...ORDER, jti: "req_2" })))).toMatchObject({ deletionId: "ddl_1" });
});

test("what is no order to this API is refused: another type, API, issuer, key, a token that is over or says too little", async () => {
  const { jwksUrl, sign, privateKey } = await issuer();
  const verify = createDataDeletionVerifier({ jwksUrl, ...options });
  const { privateKey: stranger } = await generateKeyPair("Ed25519");
  const call = { sub: "prj_1", key: "key_1", billing_account: "ba_1", scopes: ["*"], aud: "qr" };
  const { jti: _, ...nameless } = ORDER;
  const refused = [
    sign(call, "JWT"),
    sign(ORDER, "JWT"),
    sign(ORDER, "at+jwt"),
    sign({ ...ORDER, aud: "text" }),
    sign({ ...ORDER, iss: "https://elsewhere.test" }),
    sign(ORDER, undefined, stranger),
    sign(ORDER, undefined, privateKey, "-10s"),
    sign(nameless),
    sign({ ...ORDER, deletion: 7 }),
  ];
  for (const token of refused) {
    await expect(verify(bearer(await token))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  }
  await expect(verify({})).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(await verify(bearer(await sign(ORDER)))).toMatchObject({ projectId: "prj_1" });
});

test("an order to delete is no call: the gateway's verifier refuses it", async () => {
  const { jwksUrl, sign } = await issuer();
  const verify = createGatewayVerifier({ jwksUrl });
  await expect(verify(bearer(await sign(ORDER)))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("the handler has the data deleted before it says so, and says when it could not", async () => {
  const { jwksUrl, sign } = await issuer();
  const deleted: DataDeletionOrder[] = [];
  let failure: Error | undefined = new Error("the disk is full");
  const deleteData = async (order: DataDeletionOrder): Promise<void> => {
    if (failure !== undefined) throw failure;
    deleted.push(order);
  };
  const handle = createDataDeletionHandler({ jwksUrl, ...options, deleteData });
  const url = await serve((request, response) => void handle(request, response));
  const post = async (jti: string, method = "POST") =>
    (await fetch(url, { method, headers: bearer(await sign({ ...ORDER, jti })) })).status;
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect(await post("one")).toBe(500);
  expect(said).toHaveBeenCalledOnce();
  failure = undefined;
  expect(await post("one")).toBe(401);
  expect(await post("two", "GET")).toBe(405);
  expect(deleted).toEqual([]);
  expect(await post("three")).toBe(204);
  expect(deleted).toEqual([{ projectId: "prj_1", deletionId: "ddl_1" }]);
  expect((await fetch(url, { method: "POST" })).status).toBe(401);
});

test("without the keys nothing can be said: the order is to come again", async () => {
  const { sign } = await issuer();
  const verify = createDataDeletionVerifier({ jwksUrl: "http://127.0.0.1:1/jwks.json", ...options });
  await expect(verify(bearer(await sign(ORDER)))).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
