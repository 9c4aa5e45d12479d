import { stemmer } from "stemmer";

/** How texts of the catalogue and terms of people become words that can be compared. */

/** Says nothing about which API is meant. */
const EMPTY_WORDS: ReadonlySet<string> = new Set(
  "a an and any api apis are as at by for from get how i in into is it me my of on or service the this that to via web with".split(
    " ",
  ),
);
const WORDS_MAX = 10;
/** The end of a part of a name that is written together: `openWeather`, `HTTPServer`. */
const HUMPS = /(?<=\p{Ll}|\p{N})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u;

/** Lower case, without accents: `Crème` and `creme` are one word. */
export const fold = (text: string): string => text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();

/** The words of a term or a text in order, as they are written but for case, accents and punctuation. */
export const wordsOf = (text: string): string[] => fold(text).match(/[\p{L}\p{N}]+/gu) ?? [];

/**
 * What a text is found by: its words, the parts of those that are written together, and the stems of all of them. The
 * words of a title are found written together as well: `qrcode`.
 */
export function indexWords(text: string, about: { readonly isTitle: boolean }): string[] {
  const written = text.match(/[\p{L}\p{N}]+/gu) ?? [];
  const parts = written.flatMap((word) => {
    const humps = word.split(HUMPS);
    return humps.length > 1 ? [word, ...humps] : [word];
  });
  if (about.isTitle) parts.push(...written.slice(1).map((word, index) => `${written[index]}${word}`));
  return parts.flatMap((part) => {
    const word = fold(part);
    const stem = stemmer(word);
    return stem === word ? [word] : [word, stem];
  });
}

/** The words of a term that say something, or all of them if none does. */
export function termWords(term: string): string[] {
  const words = [...new Set(wordsOf(term))];
  const telling = words.filter((word) => !EMPTY_WORDS.has(word));
  return (telling.length === 0 ? words : telling).slice(0, WORDS_MAX);
}
