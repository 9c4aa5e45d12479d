import { deleteSecretInput, listSecretsInput, publishApiInput, setSecretInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { createLogger, Keyring, newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { loadCatalogueChanges, publishApi, readCatalogueVersion, removeApi } from "../catalog/index.ts";
import type { ServiceSettings } from "../context.ts";
import {
  deleteSecret,
  listSecrets,
  loadUpstreamSecrets,
  openUpstreamSecret,
  rewrapSecrets,
  setSecret,
} from "./index.ts";

const VALUE = "sk_provider_4242424242";
const { auditLog, outbox, upstreamSecrets } = schema;

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const operator = (settings?: Partial<ServiceSettings>) => fixture.as(OPERATOR, settings);

async function newApi(): Promise<string> {
  const name = `api-${newId("api").slice(4, 12).toLowerCase()}`;
  const openapi = {
    openapi: "3.1.0",
    info: { title: name, version: "1" },
    paths: { "/now": { get: { responses: { "200": { description: "OK" } } } } },
  };
  const endpoints = [{ name: "now", method: "GET", path: "/now", priceMicros: "1" }];
  const input = { name, displayName: name, description: name, category: "tests", openapi, endpoints };
  await publishApi({ ctx: fixture.as(SYSTEM), input: publishApiInput.parse(input) });
  return name;
}

const set = (api: string, more: object = {}, ctx = operator()) =>
  setSecret({ ctx, input: setSecretInput.parse({ api, name: "X-Api-Key", value: VALUE, ...more }) });
const list = (api: string) => listSecrets({ ctx: operator(), input: listSecretsInput.parse({ api }) });
async function loaded(id: string) {
  const { changed } = await loadCatalogueChanges({ ctx: fixture.as(), input: { known: new Map() } });
  const input = { apiIds: changed.map((api) => api.id) };
  return (await loadUpstreamSecrets({ ctx: fixture.as(), input })).find((secret) => secret.id === id);
}

async function opened(id: string, ring = new Keyring(fixture.settings.masterSecret)): Promise<string | undefined> {
  const secret = await loaded(id);
  return secret === undefined ? undefined : openUpstreamSecret(ring, secret);
}

describe("a secret that is set", () => {
  test("is listed without its value, and the gateways can open it", async () => {
    const api = await newApi();
    const secret = await set(api);
    expect(secret).toMatchObject({ api, placement: "header", name: "x-api-key", masterKeyId: "root" });
    expect((await list(api)).items).toEqual([secret]);
    expect(await opened(secret.id)).toBe(VALUE);
  });

  test("again has the new value under the same id, whatever the case of its header", async () => {
    const api = await newApi();
    const first = await set(api);
    const second = await set(api, { name: "x-API-key", value: "another" });
    expect(second.id).toBe(first.id);
    expect(await opened(first.id)).toBe("another");
    expect((await list(api)).items).toHaveLength(1);
  });

  test("moves the catalogue's version, so that a gateway that heard nothing notices all the same", async () => {
    const api = await newApi();
    const before = await readCatalogueVersion({ ctx: fixture.as() });
    await set(api);
    const between = await readCatalogueVersion({ ctx: fixture.as() });
    await deleteSecret({ ctx: operator(), input: deleteSecretInput.parse({ api, name: "X-Api-Key" }) });
    expect(new Set([before, between, await readCatalogueVersion({ ctx: fixture.as() })]).size).toBe(3);
  });

  test("stands in no row, no audit, no event and no log", async () => {
    const lines: string[] = [];
    const logger = createLogger({ name: "test", level: "trace" }, { write: (line) => void lines.push(line) });
    const api = await newApi();
    await set(api, {}, { ...operator(), logger });
    await set(api, {}, { ...operator(), logger });
    const { db } = fixture.as();
    const everything = await Promise.all([
      db.select().from(upstreamSecrets),
      db.select().from(auditLog),
      db.select().from(outbox),
    ]);
    expect(everything.map((rows) => rows.length).every((count) => count > 0)).toBe(true);
    const text = JSON.stringify(everything) + lines.join("");
    for (const form of [VALUE, Buffer.from(VALUE).toString("base64url"), Buffer.from(VALUE).toString("hex")]) {
      expect(text).not.toContain(form);
    }
    expect(text).toContain("admin.secrets.set");
    expect(text).toContain("admin.secretSet");
  });

  test("does not open in the row of another API, or under another name", async () => {
    const [one, two] = [await newApi(), await newApi()];
    const [mine, theirs] = [await set(one), await set(two, { value: "theirs" })];
    const { db } = fixture.as();
    const [row] = await db.select().from(upstreamSecrets).where(eq(upstreamSecrets.id, mine.id));
    const { masterKeyId, wrappedKey, sealedValue } = row ?? expect.fail("no row");
    const stolen = { masterKeyId, wrappedKey, sealedValue };
    await db.update(upstreamSecrets).set(stolen).where(eq(upstreamSecrets.id, theirs.id));
    await expect(opened(theirs.id)).rejects.toThrow();
    await db.update(upstreamSecrets).set({ name: "x-other" }).where(eq(upstreamSecrets.id, mine.id));
    await expect(opened(mine.id)).rejects.toThrow();
    await db.delete(upstreamSecrets);
  });

  test("many times at once is one", async () => {
    const api = await newApi();
    const values = Array.from({ length: 8 }, (_, index) => `value-${index}`);
    const secrets = await Promise.all(values.map((value) => set(api, { value })));
    expect(new Set(secrets.map(({ id }) => id)).size).toBe(1);
    expect(values).toContain(await opened(secrets[0]?.id ?? ""));
  });

  test("is one of twenty at most", async () => {
    const api = await newApi();
    for (let index = 0; index < 20; index += 1) await set(api, { name: `X-${index}` });
    await expect(set(api, { name: "X-20" })).rejects.toMatchObject({ reason: "too_many_secrets" });
    await set(api, { name: "X-19", value: "again" });
  });
});

test("a deleted secret is gone, and deleting it again says so", async () => {
  const api = await newApi();
  const { id } = await set(api, { placement: "query", name: "appid" });
  const input = deleteSecretInput.parse({ api, placement: "query", name: "appid" });
  expect(await deleteSecret({ ctx: operator(), input })).toEqual({ ok: true });
  expect(await loaded(id)).toBeUndefined();
  await expect(deleteSecret({ ctx: operator(), input })).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a removed API's secrets are loaded by nobody, and none can be set", async () => {
  const api = await newApi();
  const { id } = await set(api);
  await removeApi({ ctx: fixture.as(SYSTEM), input: { name: api } });
  expect(await loaded(id)).toBeUndefined();
  await expect(set(api)).rejects.toMatchObject({ code: "GONE" });
  await expect(set("no-such-api")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("only operators may set, list, delete and rewrap", async () => {
  const api = await newApi();
  for (const actor of [customerActor("cus_1"), SYSTEM, { kind: "service", service: "qr" } as const]) {
    const ctx = fixture.as(actor);
    const refused = { code: "FORBIDDEN" };
    await expect(set(api, {}, ctx)).rejects.toMatchObject(refused);
    await expect(listSecrets({ ctx, input: listSecretsInput.parse({}) })).rejects.toMatchObject(refused);
    const input = deleteSecretInput.parse({ api, name: "x-api-key" });
    await expect(deleteSecret({ ctx, input })).rejects.toMatchObject(refused);
    await expect(rewrapSecrets({ ctx })).rejects.toMatchObject(refused);
  }
});

test.each([
  ["name", { name: "X Api Key" }],
  ["name", { name: "Host" }],
  ["name", { name: "Tollgate-Call-Id" }],
  ["name", { name: "Transfer-Encoding" }],
  ["value", { value: "line\r\nX-Other: 1" }],
  ["value", { value: "" }],
  ["value", { value: " padded " }],
  ["value", { value: "schlüssel" }],
  ["api", { api: "No Api" }],
])("what cannot be sent is refused by the name of its field: %s of %j", (field, more) => {
  const parsed = setSecretInput.safeParse({ api: "a", name: "X-Api-Key", value: VALUE, ...more });
  expect(parsed.error?.issues.map(({ path }) => path.join("."))).toEqual([field]);
});

test("a query parameter may have any name, and keeps its case", () => {
  const place = { api: "a", placement: "query", name: "Host", value: VALUE } as const;
  expect(setSecretInput.parse(place).name).toBe("Host");
});

test("rotation puts every secret under the newest master key and touches no value", async () => {
  const { db } = fixture.as();
  await db.delete(upstreamSecrets);
  const api = await newApi();
  for (let index = 0; index < 5; index += 1) await set(api, { name: `X-${index}`, value: `value-${index}` });
  const valuesOf = async () =>
    (await db.select().from(upstreamSecrets).orderBy(upstreamSecrets.name)).map(({ sealedValue }) => sealedValue);
  const before = await valuesOf();
  const masterKeys = [{ id: "2027", secret: "b".repeat(32) }];
  const rotated = await Promise.all([
    rewrapSecrets({ ctx: operator({ masterKeys }) }),
    rewrapSecrets({ ctx: operator({ masterKeys }) }),
  ]);
  expect(rotated.reduce((sum, { rewrapped }) => sum + rewrapped, 0)).toBe(5);
  expect(await rewrapSecrets({ ctx: operator({ masterKeys }) })).toEqual({ rewrapped: 0, masterKeyId: "2027" });
  expect(await valuesOf()).toEqual(before);
  const { items } = await list(api);
  expect(items.map(({ masterKeyId }) => masterKeyId)).toEqual(new Array(5).fill("2027"));
  for (const { id, name } of items) {
    expect(await opened(id, new Keyring("x".repeat(32), masterKeys))).toBe(`value-${name.slice(2)}`);
    await expect(opened(id)).rejects.toThrow("2027");
  }
});
