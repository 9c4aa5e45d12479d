import { expect, it } from "vitest";
import { z } from "zod";
import { parseEnv, sellerEnv } from "./env.ts";
import { toSeller } from "./seller.ts";

const whole = { SELLER_NAME: "A", SELLER_ADDRESS_LINE1: "Street 1", SELLER_CITY: "Berlin", SELLER_COUNTRY: "DE" };

it("an environment that says nothing, or empty texts, names no seller", () => {
  expect(toSeller({})).toBeUndefined();
  expect(toSeller({ SELLER_NAME: "", SELLER_CITY: "", SELLER_EMAIL: "" })).toBeUndefined();
});

it("a seller has a name, and an address that is whole or not there", () => {
  expect(toSeller({ SELLER_NAME: "Example GmbH", SELLER_TAX_ID: "DE123456789", SELLER_CITY: " " })).toEqual({
    name: "Example GmbH",
    address: null,
    taxId: "DE123456789",
    email: null,
  });
  expect(toSeller(whole)?.address).toEqual({
    line1: "Street 1",
    line2: null,
    city: "Berlin",
    region: null,
    postalCode: null,
    country: "DE",
  });
  for (const part of ["SELLER_ADDRESS_LINE1", "SELLER_CITY", "SELLER_COUNTRY"]) {
    expect(() => toSeller({ ...whole, [part]: "" })).toThrow(part);
  }
  expect(() => toSeller({ SELLER_NAME: "A", SELLER_POSTAL_CODE: "10115" })).toThrow(/SELLER_ADDRESS_LINE1/);
  expect(() => toSeller({ SELLER_TAX_ID: "DE123456789" })).toThrow(/SELLER_NAME/);
});

it("a country that is no code and an address that nobody can write to are refused by name", () => {
  const schema = z.object(sellerEnv);
  expect(parseEnv(schema, { SELLER_COUNTRY: "DE", SELLER_EMAIL: "" })).toMatchObject({ SELLER_COUNTRY: "DE" });
  expect(() => parseEnv(schema, { SELLER_COUNTRY: "Germany" })).toThrow(/SELLER_COUNTRY/);
  expect(() => parseEnv(schema, { SELLER_EMAIL: "nobody" })).toThrow(/SELLER_EMAIL/);
});
