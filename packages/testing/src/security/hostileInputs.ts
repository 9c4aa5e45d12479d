import fc from "fast-check";

/** One input that is not what was asked for. */
export interface HostileInput {
  /** The dotted path of the field that is not as it should be; empty where that is the input as a whole. */
  readonly path: string;
  /** What was done to it, in words. */
  readonly deed: string;
  /** To be written by {@link hostileJson}, or as superjson where {@link isTyped}. */
  readonly value: unknown;
  /** Whether only the typed client's format can carry it. */
  readonly isTyped: boolean;
}

const LONG = 20_000;
const DEPTH = 5_000;

/**
 * JSON that is nested so deep that whoever follows it by calling themselves runs out of stack, as do the functions that
 * would write it; so a word stands in its place until then.
 */
const ENDLESS: Readonly<Record<string, string>> = {
  "lists without end": "[".repeat(DEPTH) + "]".repeat(DEPTH),
  "objects without end": `${'{"a":'.repeat(DEPTH)}1${"}".repeat(DEPTH)}`,
};

/** The JSON text of an input. */
export function hostileJson(value: unknown): string {
  const text = JSON.stringify(value);
  return Object.entries(ENDLESS).reduce((json, [word, endless]) => json.replaceAll(`"${word}"`, endless), text);
}

/** Values that JSON can carry and that nobody means well with. */
const HOSTILE_VALUES: readonly (readonly [string, unknown])[] = [
  ["null", null],
  ["true", true],
  ["zero", 0],
  ["a negative number", -1],
  ["a fraction", 1.5],
  ["a number beyond 2^53", 2 ** 60],
  ["a number beyond 64 bits", 1e30],
  ["the largest number", Number.MAX_VALUE],
  ["an empty text", ""],
  ["a blank text", " \t\n"],
  ["a text that is too long", "x".repeat(LONG)],
  ["a text with NUL", "a\u0000b"],
  ["control characters", "\u0001\u0007\u001b[31m\u007f\u0085"],
  ["half a surrogate pair", "a\ud800b"],
  ["text that runs the other way", "\u202egnp.exe\u2066"],
  ["emoji and combining marks", `👩‍👩‍👧‍👦${"e\u0301".repeat(20)}`],
  ["characters that look like others", "ａｄｍｉｎ＠ｅｘａｍｐｌｅ．ｃｏｍ"],
  ["SQL", "'; drop table customers; --"],
  ["a pattern", "%_\\%"],
  ["markup", "<script>alert(1)</script>"],
  ["a path", "../../../../etc/passwd"],
  ["a number as text", "12"],
  ["a number with an exponent as text", "1e3"],
  ["more digits than a column holds", "9".repeat(19)],
  ["more digits than a number holds", "9".repeat(400)],
  ["a negative amount as text", "-9223372036854775808"],
  ["an instant that is none", "2026-02-30T25:61:00Z"],
  ["an instant before the first", "-000001-01-01T00:00:00Z"],
  ["an instant after the last", "+275760-09-13T00:00:00.001Z"],
  ["an id of something else", "zzz_0123456789abcdefABCDEF"],
  ["an id with other letters", "cus_0123456789abcdefABCDÉ"],
  ["an empty list", []],
  ["a list of nothing", [null]],
  ["a list of lists", [[[[]]]]],
  ["a long list", Array.from({ length: 2_000 }, (_, index) => index)],
  ["an empty object", {}],
  ["an object with a field of every name", JSON.parse('{"__proto__":{"isOperator":true},"constructor":1,"length":-1}')],
  ...Object.keys(ENDLESS).map((word) => [word, word] as const),
];

/** Values that only the typed client's format can carry. */
const TYPED_VALUES: readonly (readonly [string, unknown])[] = [
  ["undefined", undefined],
  ["an amount", 12n],
  ["an amount beyond 64 bits", 10n ** 30n],
  ["a date", new Date("2026-01-15T12:00:00Z")],
  ["the last date there is", new Date(8.64e15)],
  ["the first date there is", new Date(-8.64e15)],
  ["no number", Number.NaN],
  ["infinity", Number.POSITIVE_INFINITY],
];

/** What takes the place of a field, besides the values of everybody: a field of a name that nobody asked for. */
const SURPRISE = { unasked: { for: ["something"] } };

export interface HostileOptions {
  /** A valid input. Its fields, and those of its objects and lists, are replaced one at a time. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Fields that may be left out and are not in the input. */
  readonly optionalFields: readonly string[];
  /** Also values that only the typed client's format can carry. */
  readonly hasTypedValues: boolean;
  /** Where the values that are made at random come from: the same seed, the same values. */
  readonly seed: number;
  readonly randomInputs: number;
  /** Fields whose content is the caller's own affair: they are replaced, and nothing inside of them is. */
  readonly documents: readonly string[];
  /** If there are more inputs than that, a part of them by the seed. */
  readonly inputsMax: number;
}

/** Every field of an input replaced by every hostile value, or left out; and inputs that are wrong as a whole. */
export function hostileInputs(options: HostileOptions): HostileInput[] {
  const { input, optionalFields, hasTypedValues, documents } = options;
  const values = [
    ...HOSTILE_VALUES.map(([deed, value]) => ({ deed, value, isTyped: false })),
    ...(hasTypedValues ? TYPED_VALUES : []).map(([deed, value]) => ({ deed, value, isTyped: true })),
  ];
  const present = fieldPaths(input, [], documents);
  const fields = [...present, ...optionalFields.map((field) => [field])];
  const replaced = fields.flatMap((path) =>
    values.map((each) => ({ ...each, path: path.join("."), value: withField(input, path, each.value) })),
  );
  const left = present.map((path) => ({
    path: path.join("."),
    deed: "left out",
    value: withoutField(input, path),
    isTyped: false,
  }));
  const whole = values.map((each) => ({ ...each, path: "" }));
  const more = { path: "", deed: "a field that nobody asked for", value: { ...input, ...SURPRISE }, isTyped: false };
  return someOf([...replaced, ...left, ...whole, more, ...randomInputs(options, fields)], options);
}

/** As many as there may be, chosen by the seed and in their order. */
function someOf(inputs: readonly HostileInput[], { seed, inputsMax }: HostileOptions): HostileInput[] {
  if (inputs.length <= inputsMax) return [...inputs];
  const [chosen = []] = fc.sample(
    fc.shuffledSubarray([...inputs.keys()], { minLength: inputsMax, maxLength: inputsMax }),
    { seed, numRuns: 1 },
  );
  const isChosen = new Set(chosen);
  return inputs.filter((_, index) => isChosen.has(index));
}

function randomInputs({ input, seed, randomInputs: count }: HostileOptions, fields: string[][]): HostileInput[] {
  if (fields.length === 0) return [];
  const wrong = fc.record({ field: fc.constantFrom(...fields), value: fc.jsonValue({ maxDepth: 4 }) });
  return fc.sample(wrong, { seed, numRuns: count }).map(({ field, value }) => ({
    path: field.join("."),
    deed: "a value made at random",
    value: withField(input, field, value),
    isTyped: false,
  }));
}

/** The paths of all fields, those inside of objects and lists included. */
function fieldPaths(value: unknown, path: readonly string[], documents: readonly string[]): string[][] {
  if (typeof value !== "object" || value === null || documents.includes(path.join("."))) return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const own = [...path, key];
    return [own, ...fieldPaths(field, own, documents)];
  });
}

function withField(value: unknown, path: readonly string[], replacement: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return replacement;
  const copy: Record<string, unknown> = Array.isArray(value)
    ? ([...value] as unknown as Record<string, unknown>)
    : { ...(value as Record<string, unknown>) };
  copy[key] = withField(copy[key], rest, replacement);
  return copy;
}

function withoutField(value: unknown, path: readonly string[]): unknown {
  const [key = "", ...rest] = path;
  if (Array.isArray(value)) {
    return rest.length === 0
      ? value.filter((_, index) => String(index) !== key)
      : value.map((item, index) => (String(index) === key ? withoutField(item, rest) : item));
  }
  const copy = { ...(value as Record<string, unknown>) };
  if (rest.length === 0) delete copy[key];
  else copy[key] = withoutField(copy[key], rest);
  return copy;
}
