import type { Database } from "@tollgate/db";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";

/**
 * A catalogue of made-up words with the frequencies of those that mean something in a language (Zipf's law, without the
 * fifty commonest): the commonest of them is in the text of one API in ten.
 */
const WORDS = 12_000;
const COMMONEST = 50;
const CONSONANTS = "bcdfghjklmnpqrstvwxz";
const VOWELS = "aeiou";
const CATEGORIES = 40;
const DESCRIPTION_WORDS = 25;
const ROWS_AT_ONCE = 500;
/** A document is stored beside each, so that rows are as long as they are in life. */
const DOCUMENT_BYTES = 8_000;

/** The word of a rank: the first are the common ones. Neighbours have nothing in common. */
export function wordAt(rank: number): string {
  // A multiplication by an odd number modulo a power of two is a permutation.
  let rest = (rank * 0x9e3779b1) >>> 0;
  let word = "";
  for (let letter = 0; letter < 5 + (rank % 4); letter += 1) {
    const letters = letter % 2 === 0 ? CONSONANTS : VOWELS;
    word += letters.charAt(rest % letters.length);
    rest = Math.floor(rest / letters.length) + rank * letter;
  }
  return word;
}

export const randomWord = (): string =>
  wordAt(Math.floor(COMMONEST * (Math.exp(Math.random() * Math.log(1 + WORDS / COMMONEST)) - 1)));

const phrase = (words: number): string => Array.from({ length: words }, randomWord).join(" ");

export async function seedCatalogue(database: Database, apis: number): Promise<void> {
  const openapi = { openapi: "3.1.0", padding: "x".repeat(DOCUMENT_BYTES) };
  for (let start = 0; start < apis; start += ROWS_AT_ONCE) {
    const now = new Date();
    const rows = Array.from({ length: Math.min(ROWS_AT_ONCE, apis - start) }, (_, index) => ({
      id: newId("api"),
      name: `${randomWord()}-${start + index}`,
      displayName: phrase(2),
      description: phrase(DESCRIPTION_WORDS),
      category: `category ${index % CATEGORIES}`,
      popularity: index % 11,
      status: "published" as const,
      openapi,
      revision: 1,
      createdAt: now,
      updatedAt: now,
    }));
    await database.db.insert(schema.apis).values(rows);
  }
  await database.sql`vacuum analyze apis`;
}
