export interface TextCounts {
  readonly words: number;
  /** Characters as readers see them, so that an accented letter or a flag is one. */
  readonly characters: number;
  readonly sentences: number;
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Words are what white space separates; a sentence ends with `.`, `!`, `?` or `…`, and the last one may do without. */
export function countText(text: string): TextCounts {
  let characters = 0;
  for (const _ of graphemes.segment(text)) characters += 1;
  return {
    words: countWords(text),
    characters,
    sentences: text.split(/[.!?…]+(?=\s|$)/u).filter((part) => part.trim() !== "").length,
  };
}

export function countWords(text: string): number {
  return text.match(/\S+/gu)?.length ?? 0;
}

/** The words of a text, each with the white space after it; together they are the text. */
export function wordsWithSpaces(text: string): string[] {
  return text.match(/^\s+|\S+\s*/gu) ?? [];
}
