import type { ApiSummary } from "@tollgate/contracts";

/**
 * The order of search results, from facts alone. Every word must be found somewhere; where it is found says how much it
 * counts (name over title over category over description, a whole word over the beginning of one over a part), and of
 * APIs that fit about as well the popular one comes first.
 */
const FIELD_WEIGHTS = { name: 8, displayName: 6, category: 3, description: 1 } as const;
const WHOLE_WORD = 4;
const WORD_START = 2;
const PART = 1;
/** The term is the API's name or title: nobody else should come first. */
const EXACT_BONUS = 1_000;
/** The most popular API counts this much more than one that nobody calls. */
const POPULARITY_SHARE = 0.5;

export const searchWords = (term: string): string[] => [...new Set(term.toLowerCase().split(/\s+/).filter(Boolean))];

export function rankSearch<Row extends ApiSummary>(term: string, rows: readonly Row[]): Row[] {
  const words = searchWords(term);
  return rows
    .map((row) => ({ row, score: scoreOf(term.toLowerCase(), words, row) }))
    .filter(({ score }) => words.length === 0 || score > 0)
    .sort((a, b) => b.score - a.score || b.row.popularity - a.row.popularity || (a.row.name < b.row.name ? -1 : 1))
    .map(({ row }) => row);
}

function scoreOf(term: string, words: readonly string[], row: ApiSummary): number {
  let score = 0;
  for (const word of words) {
    const best = Math.max(
      ...(Object.keys(FIELD_WEIGHTS) as (keyof typeof FIELD_WEIGHTS)[]).map(
        (field) => FIELD_WEIGHTS[field] * matchOf(row[field].toLowerCase(), word),
      ),
    );
    if (best === 0) return 0;
    score += best;
  }
  const isExact = term !== "" && (row.name === term || row.displayName.toLowerCase() === term);
  return (score + (isExact ? EXACT_BONUS : 0)) * (1 + (POPULARITY_SHARE * row.popularity) / 10);
}

function matchOf(text: string, word: string): number {
  let best = 0;
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    const isStart = at === 0 || !isWordCharacter(text.charAt(at - 1));
    const end = at + word.length;
    const isEnd = end === text.length || !isWordCharacter(text.charAt(end));
    best = Math.max(best, isStart && isEnd ? WHOLE_WORD : isStart ? WORD_START : PART);
    if (best === WHOLE_WORD) return best;
  }
  return best;
}

const isWordCharacter = (character: string): boolean => /[\p{L}\p{N}]/u.test(character);
