import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { HUNDRED_APIS } from "../../test/hundredApis.ts";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, SYSTEM } from "../../test/serviceFixture.ts";
import { deprecateApi, removeApi, searchApis, updateApi } from "./index.ts";

let fixture: ServiceFixture;

beforeAll(async () => {
  fixture = await createServiceFixture();
  const now = fixture.clock.now();
  const rows = HUNDRED_APIS.map((api) => ({
    ...api,
    id: newId("api"),
    status: "published" as const,
    openapi: {},
    revision: 1,
    createdAt: now,
    updatedAt: now,
  }));
  await fixture.as().db.insert(schema.apis).values(rows);
});
afterAll(() => fixture.close());

async function search(term: string, categories?: string[]): Promise<string[]> {
  const input = { term, limit: 50, ...(categories === undefined ? {} : { categories }) };
  return (await searchApis({ ctx: fixture.as(), input })).items.map(({ name }) => name);
}

/** What people type, and the API that they mean. */
const QUERIES: readonly (readonly [term: string, name: string])[] = [
  ["weather", "weather"],
  ["weather forecast", "weather"],
  ["wether", "weather"],
  ["past weather", "weather-history"],
  ["pollen", "air-quality"],
  ["tide", "marine-tides"],
  ["geocoding", "geocoder"],
  ["adress to coordinates", "geocoder"],
  ["driving directions", "routing"],
  ["map", "map-tiles"],
  ["timezones", "timezone"],
  ["time zone", "timezone"],
  ["ip address location", "ip-location"],
  ["zip and postal codes", "postcodes"],
  ["send sms", "sms"],
  ["text messages", "sms"],
  ["sms api", "sms"],
  ["send email", "email-delivery"],
  ["is this email valid", "email-validation"],
  ["push notification", "push"],
  ["whats app", "whatsapp-bridge"],
  ["two factor", "verify-otp"],
  ["exchange rate", "currency"],
  ["curency convert", "currency"],
  ["stock price", "stocks"],
  ["bitcoin", "crypto-prices"],
  ["validate iban", "iban"],
  ["vat", "vat"],
  ["translat", "translate"],
  ["translation api", "translate"],
  ["detect language", "language-detect"],
  ["synonyms", "dictionary"],
  ["answer questions", "chat-model"],
  ["speech to text", "speech-to-text"],
  ["text-to-speech", "text-to-speech"],
  ["transcribe audio", "speech-to-text"],
  ["remove background", "background-removal"],
  ["ocr", "ocr"],
  ["qr code generator", "qr"],
  ["qrcode", "qr"],
  ["screenshot of a website", "screenshots"],
  ["html pdf", "pdf-render"],
  ["convert word to pdf", "docx-convert"],
  ["flight delays", "flights"],
  ["cheap flight fares", "flight-search"],
  ["calories", "nutrition"],
  ["creme brulee", "creme-brulee"],
  ["CRÈME", "creme-brulee"],
  ["soccer results", "football"],
  ["movie", "movies"],
  ["isbn", "books"],
  ["shorten urls", "url-shortener"],
  ["whois", "whois"],
  ["car vin", "vin"],
];

describe("the obvious query finds the obvious API first", () => {
  it(`among ${HUNDRED_APIS.length}, for ${QUERIES.length} queries`, async () => {
    expect(HUNDRED_APIS.length).toBe(100);
    const wrong: string[] = [];
    for (const [term, name] of QUERIES) {
      const found = await search(term);
      if (found[0] !== name) wrong.push(`${term}: ${name} is not before ${found.slice(0, 3).join(", ")}`);
    }
    expect(wrong).toEqual([]);
  });

  it("while it is typed, letter by letter", async () => {
    for (const term of ["transla", "translat", "translati", "translatio", "translation"]) {
      expect((await search(term))[0]).toBe("translate");
    }
  });

  it("of equals the popular one, and in the categories that were asked for", async () => {
    expect((await search("pdf")).slice(0, 2)).toContain("pdf-render");
    expect(await search("text", ["messaging"])).toEqual(expect.arrayContaining(["sms", "verify-otp"]));
    for (const name of await search("text", ["messaging", "ai"])) {
      expect(["messaging", "ai"]).toContain(HUNDRED_APIS.find((api) => api.name === name)?.category);
    }
    expect(await search("weather", ["finance"])).toEqual([]);
    expect(await search("weather", [])).toEqual([]);
  });
});

test("no term lists the popular ones, and one that means nothing finds nothing", async () => {
  const all = await search("");
  expect(all).toHaveLength(50);
  expect(HUNDRED_APIS.find(({ name }) => name === all[0])?.popularity).toBe(10);
  expect(await search("   ")).toEqual(all);
  for (const term of ["qqqqzzzzxxxx", "!!!", "***", "\\", "%", "'; drop table apis; --x9", "𓀀𓀁"]) {
    expect((await search(term)).length).toBeLessThan(50);
  }
  expect(await search("qqqqzzzzxxxx")).toEqual([]);
  expect(await search("!!!")).toEqual([]);
});

test("a change is found by the next search, in every process", async () => {
  const ctx = fixture.as(SYSTEM);
  const searchElsewhere = async (term: string) =>
    (await searchApis({ ctx: fixture.otherProcess(), input: { term, limit: 50 } })).items.map(({ name }) => name);
  expect(await searchElsewhere("zeppelin")).toEqual([]);
  // Its document is empty and has no endpoints, so anything but these fields stays.
  await updateApi({ ctx, input: { name: "wine", description: "Served on board of a zeppelin." } });
  expect(await search("zeppelin")).toEqual(["wine"]);
  expect(await searchElsewhere("zeppelin")).toEqual(["wine"]);
  const { items } = await searchApis({ ctx, input: { term: "zeppelin", limit: 1 } });
  expect(items[0]).toMatchObject({ name: "wine", category: "food", popularity: 2, status: "published" });
  await deprecateApi({ ctx, input: { name: "wine", sunsetAt: new Date(fixture.clock.nowMs() + 1_000) } });
  expect((await searchApis({ ctx, input: { term: "zeppelin", limit: 1 } })).items[0]?.status).toBe("deprecated");
  await removeApi({ ctx, input: { name: "wine" } });
  expect(await Promise.all([search("zeppelin"), searchElsewhere("zeppelin")])).toEqual([[], []]);
  expect(await search("wine")).not.toContain("wine");
  const { db } = fixture.as();
  await db
    .update(schema.apis)
    .set({ popularity: 10, rankedAt: fixture.clock.now() })
    .where(eq(schema.apis.name, "vin"));
  expect((await search("")).slice(0, 8)).toContain("vin");
});

test("many searches at once, with changes between them, see whole catalogues", async () => {
  const ctx = fixture.as(SYSTEM);
  const rounds = Array.from({ length: 5 }, async (_, index) => {
    await updateApi({ ctx, input: { name: "jokes", description: `Number${index} of its kind.` } });
    return Promise.all(Array.from({ length: 10 }, () => search("jokes")));
  });
  for (const found of (await Promise.all(rounds)).flat()) expect(found[0]).toBe("jokes");
});
