import fc from "fast-check";
import superjson from "superjson";
import { describe, expect, it } from "vitest";
import { wireTransformer } from "./wire.ts";

/** What answers are made of, with hostile keys thrown in; no repeated bigints, on which we differ on purpose. */
const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.date(),
  fc.constant(new Set([1])),
  fc.constant(new Map([["a", new Date(0)]])),
);
const key = fc.oneof(fc.string(), fc.constantFrom("a.b", "a\\b", "", "toString", "0", "__proto__"));
const { value: answer } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4 }),
  ),
}));
const withBigints = fc.array(fc.oneof(answer, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n })));

/** What became of it: superjson refuses some names, such as `__proto__`, and so must we. */
function outcomeOf(work: () => unknown): { readonly value: unknown } | { readonly refusal: string } {
  try {
    return { value: work() };
  } catch (error) {
    return { refusal: String(error) };
  }
}

describe("the wire format", () => {
  it("is superjson's own for any answer without repeated bigints", () => {
    fc.assert(
      fc.property(answer, (value) => {
        const ours = outcomeOf(() => wireTransformer.serialize(value));
        expect(ours).toEqual(outcomeOf(() => superjson.serialize(value)));
      }),
      { numRuns: 1_000 },
    );
  });

  it("is read by superjson as the value that was written, repeated bigints included", () => {
    fc.assert(
      fc.property(withBigints, (value) => {
        const ours = outcomeOf(() => superjson.parse(JSON.stringify(wireTransformer.serialize(value))));
        expect(ours).toEqual(outcomeOf(() => superjson.parse(superjson.stringify(value))));
      }),
    );
  });

  it("refuses a field called __proto__ in the words of superjson", () => {
    const hostile = { at: new Date(5), inner: JSON.parse('{"__proto__":{"isOperator":true}}') as unknown };
    expect(() => wireTransformer.serialize(hostile)).toThrow(/__proto__/);
    expect(outcomeOf(() => wireTransformer.serialize(hostile))).toEqual(outcomeOf(() => superjson.serialize(hostile)));
  });

  it("takes documents of others with names of any kind, and superjson reads them", () => {
    const document = JSON.parse('{"constructor":{"prototype":1,"a.b":[{"":2}]},"length":-1,"toString":null}');
    const answer = { document, at: new Date(5) };
    const read: unknown = superjson.parse(JSON.stringify(wireTransformer.serialize(answer)));
    expect(JSON.stringify(read)).toBe(JSON.stringify(answer));
  });

  it("says nothing about equal bigints being one object", () => {
    expect(wireTransformer.serialize({ balance: 0n, held: 0n })).toEqual({
      json: { balance: "0", held: "0" },
      meta: { values: { balance: ["bigint"], held: ["bigint"] }, v: 1 },
    });
  });

  it("keeps superjson's note that an object appears twice", () => {
    const shared = { a: 1 };
    expect(wireTransformer.serialize([shared, shared])).toEqual(superjson.serialize([shared, shared]));
  });

  it("reads what a superjson client sends: dates, amounts, undefined, odd numbers, awkward keys", () => {
    const input = { at: new Date(5), micros: -7n, "a.b\\c": [undefined, Number.NaN, { deep: new Date(9) }], n: null };
    const sent: unknown = JSON.parse(superjson.stringify(input));
    expect(wireTransformer.deserialize(sent as never)).toEqual(input);
    expect(wireTransformer.deserialize(JSON.parse(superjson.stringify(7n)) as never)).toBe(7n);
  });

  it.each([
    ["a typed array of any size", { json: 1e9, meta: { values: [["typed-array", "Float64Array"]] } }],
    ["a regular expression", { json: { a: "/x/" }, meta: { values: { a: ["regexp"] } } }],
    ["a set", { json: { a: [] }, meta: { values: { a: ["set"] } } }],
    ["an inherited name", { json: { a: "1" }, meta: { values: { a: ["constructor"] } } }],
    ["a bigint of a thousand digits", { json: "9".repeat(1_000), meta: { values: ["bigint"] } }],
    ["a path that leads nowhere", { json: {}, meta: { values: { "a.b": ["Date"] } } }],
    ["a path into a prototype", { json: {}, meta: { values: { "__proto__.polluted": ["Date"] } } }],
    ["an annotation that is not one", { json: {}, meta: { values: "Date" } }],
    ["no payload at all", null],
    ["a list", []],
  ])("refuses %s", (_, payload) => {
    expect(() => wireTransformer.deserialize(payload as never)).toThrow(TypeError);
    expect(Object.prototype).not.toHaveProperty("polluted");
  });
});
