import type { ApiSummary } from "@tollgate/contracts";
import type { Database, DbContext } from "@tollgate/db";
import { schema } from "@tollgate/db";
import { chunksOf } from "@tollgate/kernel";
import { count, inArray, max, sum } from "drizzle-orm";
import type { Query } from "minisearch";
import MiniSearch from "minisearch";
import { stemmer } from "stemmer";
import { isVisible, summaryColumns, toSummary } from "./internal.ts";
import { fold, indexWords, termWords, wordsOf } from "./searchWords.ts";

/**
 * The published APIs in memory, as people search for them. Before each search one look into an index of the database says
 * whether anything has changed; then what has is read, and nothing else. One for each database of a process.
 */
const { apis } = schema;

const FIELD_WEIGHTS = { name: 5, displayName: 4, category: 2, description: 1 } as const;
/** What the beginning of a word counts, and a word with typing errors, of what the word itself counts. */
const MATCH_WEIGHTS = { prefix: 0.5, fuzzy: 0.3 } as const;
/** Errors for each letter. Of short words one error makes another word. */
const ERRORS_PER_LETTER = 0.2;
const LETTERS_FOR_ERRORS = 4;
/** The most popular API counts half as much again as one that nobody calls. */
const POPULARITY_SHARE = 0.05;
const ROWS_AT_ONCE = 500;

interface Entry {
  /** What the row was when it was read. */
  readonly stamp: string;
  readonly summary: ApiSummary;
  /** Name and title without punctuation, for whoever types just that. */
  readonly titles: readonly string[];
}

export class SearchIndex {
  readonly #entries = new Map<string, Entry>();
  readonly #index = new MiniSearch<ApiSummary>({
    fields: Object.keys(FIELD_WEIGHTS),
    tokenize: (text, field) => indexWords(text, { isTitle: field === "name" || field === "displayName" }),
    processTerm: (word) => word,
  });
  #byPopularity: readonly Entry[] | undefined;
  #version: string | undefined;
  #syncing: Promise<void> = Promise.resolve();

  /** Takes what has changed. */
  async refresh(ctx: DbContext): Promise<void> {
    const version = await readVersion(ctx);
    if (version === this.#version) return;
    // One after the other: the second finds what the first has left, mostly nothing.
    const sync = this.#syncing.then(() => this.#sync(ctx, version));
    this.#syncing = sync.catch(() => undefined);
    await sync;
  }

  /** The best fits first. Without a term all of them, the popular ones first. */
  search(term: string, categories: ReadonlySet<string> | undefined, limit: number): ApiSummary[] {
    const isWanted = (entry: Entry | undefined): entry is Entry =>
      entry !== undefined && (categories === undefined || categories.has(entry.summary.category));
    const words = termWords(term);
    if (words.length === 0) return term.trim() === "" ? this.#all(isWanted, limit) : [];
    const found = this.#find(words)
      .map((id) => this.#entries.get(id))
      .filter(isWanted);
    if (found.length === 0) found.push(...this.#containing(fold(term.trim())).filter(isWanted));
    const typed = wordsOf(term).join(" ");
    const exact = found.filter(({ titles }) => titles.includes(typed));
    return [...new Set([...exact, ...found])].slice(0, limit).map(({ summary }) => summary);
  }

  /** Ids of APIs that have every word, or if there are none, those that have the most of them. */
  #find(words: readonly string[]): string[] {
    const forms = words.map((word) => [...new Set([word, stemmer(word)])]);
    const queries = forms.map(
      (queries, index): Query => ({
        combineWith: "OR",
        queries,
        // What is typed last may not be finished yet.
        prefix: index === words.length - 1 || (words[index] ?? "").length > 2,
        fuzzy: (words[index] ?? "").length >= LETTERS_FOR_ERRORS ? ERRORS_PER_LETTER : false,
      }),
    );
    const options = {
      boost: FIELD_WEIGHTS,
      weights: MATCH_WEIGHTS,
      tokenize: (text: string) => [text],
      boostDocument: (id: string) => 1 + POPULARITY_SHARE * (this.#entries.get(id)?.summary.popularity ?? 0),
    };
    const whole = this.#index.search({ combineWith: "AND", queries }, options);
    if (whole.length > 0 || words.length === 1) return whole.map(({ id }) => String(id));
    return this.#index
      .search({ combineWith: "OR", queries }, options)
      .map(({ id, score, queryTerms }) => {
        const found = new Set(queryTerms);
        return { id: String(id), score, words: forms.filter((form) => form.some((word) => found.has(word))).length };
      })
      .sort((a, b) => b.words - a.words || b.score - a.score)
      .map(({ id }) => id);
  }

  /** For what is no word: a part of a name. */
  #containing(part: string): Entry[] {
    return [...this.#entries.values()].filter(({ titles }) => titles.some((title) => title.includes(part)));
  }

  /** The popular ones first. Put in order once for each state of the catalogue. */
  #all(isWanted: (entry: Entry) => boolean, limit: number): ApiSummary[] {
    this.#byPopularity ??= [...this.#entries.values()].sort(
      ({ summary: a }, { summary: b }) => b.popularity - a.popularity || (a.name < b.name ? -1 : 1),
    );
    const wanted: ApiSummary[] = [];
    for (const entry of this.#byPopularity) {
      if (wanted.length === limit) break;
      if (isWanted(entry)) wanted.push(entry.summary);
    }
    return wanted;
  }

  async #sync(ctx: DbContext, version: string): Promise<void> {
    if (version === this.#version) return;
    const rows = await ctx.db
      .select({ id: apis.id, revision: apis.revision, rankedAt: apis.rankedAt })
      .from(apis)
      .where(isVisible);
    const stamps = new Map(rows.map(({ id, revision, rankedAt }) => [id, `${revision}.${rankedAt?.getTime() ?? 0}`]));
    for (const id of this.#entries.keys()) if (!stamps.has(id)) this.#remove(id);
    const changed = [...stamps].filter(([id, stamp]) => this.#entries.get(id)?.stamp !== stamp);
    for (const some of chunksOf(changed, ROWS_AT_ONCE)) {
      const batch = new Map(some);
      const summaries = await ctx.db
        .select(summaryColumns)
        .from(apis)
        .where(inArray(apis.id, [...batch.keys()]));
      for (const row of summaries) this.#put(toSummary(row), batch.get(row.id) ?? "");
    }
    this.#byPopularity = undefined;
    this.#version = version;
  }

  #put(summary: ApiSummary, stamp: string): void {
    this.#remove(summary.id);
    const titles = [summary.name, summary.displayName].map((title) => wordsOf(title).join(" "));
    this.#entries.set(summary.id, { summary, stamp, titles });
    this.#index.add(summary);
  }

  #remove(id: string): void {
    if (this.#entries.delete(id)) this.#index.discard(id);
  }
}

/**
 * A text that changes whenever a search may find something else: with every change of an API, and when popularity was
 * reckoned anew. An index has all that it asks for.
 */
async function readVersion(ctx: DbContext): Promise<string> {
  const columns = { apis: count(), revisions: sum(apis.revision), rankedAt: max(apis.rankedAt) };
  const [row] = await ctx.db.select(columns).from(apis);
  return `${row?.apis}.${row?.revisions}.${row?.rankedAt?.getTime() ?? 0}`;
}

const indexes = new WeakMap<Database, SearchIndex>();

/** The index of a database, up to date. */
export async function searchIndexOf(ctx: DbContext): Promise<SearchIndex> {
  const index = indexes.get(ctx.database) ?? new SearchIndex();
  indexes.set(ctx.database, index);
  await index.refresh(ctx);
  return index;
}
