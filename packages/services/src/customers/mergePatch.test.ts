import { expect, test } from "vitest";
import { mergePatch } from "./mergePatch.ts";

const json = (text: string): unknown => JSON.parse(text);

test.each([
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', "{}"],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', "null", "null"],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
  ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
])("merges %s with %s into %s, as the table of RFC 7396 has it", (target, patch, result) => {
  expect(mergePatch(json(target), json(patch))).toEqual(json(result));
});

test("a field called __proto__ is a field, and changes no prototype", () => {
  const merged = mergePatch({}, json('{"__proto__":{"isOperator":true}}'));
  expect(Object.keys(merged as object)).toEqual(["__proto__"]);
  expect((merged as { isOperator?: boolean }).isOperator).toBeUndefined();
});

test("neither the value nor the patch is changed", () => {
  const target = Object.freeze({ a: Object.freeze({ b: 1 }) });
  const patch = Object.freeze({ a: Object.freeze({ b: null, c: 2 }) });
  expect(mergePatch(target, patch)).toEqual({ a: { c: 2 } });
});

test("a patch that is nested too deeply is refused", () => {
  const deep = json(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`);
  expect(() => mergePatch({}, deep)).toThrow(/nested/);
});
