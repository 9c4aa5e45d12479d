import { expect, test } from "vitest";
import { domainNames } from "./domainNames.ts";

test("a name is spelled for every layer", () => {
  expect(domainNames("taxRates")).toEqual({
    domain: "taxRates",
    Domain: "TaxRates",
    record: "taxRate",
    Record: "TaxRate",
    words: "tax rate",
    table: "tax_rates",
    prefix: "txr",
  });
});

test.each([
  ["coupons", "coupon", "cpn"],
  ["policies", "policy", "plc"],
  ["boxes", "box", "bx"],
])("%s are made of one %s", (domain, record, prefix) => {
  expect(domainNames(domain)).toMatchObject({ record, prefix });
});

test("what cannot be worked out can be said", () => {
  expect(domainNames("people", { record: "person", prefix: "per" })).toMatchObject({ record: "person", prefix: "per" });
});

test.each(["Coupons", "tax-rates", "x", "data"])("%s is refused with a reason", (name) => {
  expect(() => domainNames(name)).toThrow(`"${name}"`);
});
