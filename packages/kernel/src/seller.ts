import type { z } from "zod";
import type { sellerEnv } from "./env.ts";

/** What processes that make invoices read of the seller from their environment. */
export type SellerEnv = { readonly [Name in keyof typeof sellerEnv]?: z.output<(typeof sellerEnv)[Name]> };

export interface Seller {
  readonly name: string;
  readonly address: {
    readonly line1: string;
    readonly line2: string | null;
    readonly city: string;
    readonly region: string | null;
    readonly postalCode: string | null;
    readonly country: string;
  } | null;
  readonly taxId: string | null;
  readonly email: string | null;
}

/**
 * The seller that the environment names; undefined where it names none.
 * @throws Error for an address of which only a part is there, or a seller without a name: invoices would be wrong for good
 */
export function toSeller(env: SellerEnv): Seller | undefined {
  const line1 = given(env.SELLER_ADDRESS_LINE1);
  const line2 = given(env.SELLER_ADDRESS_LINE2);
  const city = given(env.SELLER_CITY);
  const region = given(env.SELLER_REGION);
  const postalCode = given(env.SELLER_POSTAL_CODE);
  const country = given(env.SELLER_COUNTRY);
  const name = given(env.SELLER_NAME);
  const taxId = given(env.SELLER_TAX_ID);
  const email = given(env.SELLER_EMAIL);
  const hasAddress = [line1, line2, city, region, postalCode, country].some((part) => part !== null);
  if (name === null) {
    if (!hasAddress && taxId === null && email === null) return undefined;
    throw new Error("SELLER_NAME: Must be there when anything else of the seller is");
  }
  if (!hasAddress) return { name, address: null, taxId, email };
  if (line1 === null || city === null || country === null) {
    throw new Error("The seller's address needs SELLER_ADDRESS_LINE1, SELLER_CITY and SELLER_COUNTRY");
  }
  return { name, address: { line1, line2, city, region, postalCode, country }, taxId, email };
}

/** Compose passes what is not set as an empty text. */
const given = (text: string | undefined): string | null =>
  text === undefined || text.trim() === "" ? null : text.trim();
