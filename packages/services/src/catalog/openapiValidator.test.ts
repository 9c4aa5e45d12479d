import { afterEach, describe, expect, it } from "vitest";
import { OpenapiValidator } from "./openapiValidator.ts";

const DOCUMENT = { openapi: "3.1.0", info: { title: "Documents", version: "1" } };
const ok = { description: "OK" };
const schemas = (components: Record<string, unknown>) =>
  JSON.stringify({ ...DOCUMENT, paths: {}, components: { schemas: components } });

/** Some megabytes of operations, as large makers publish them. */
function largeDocument(operations: number): string {
  const description = "Answers what was asked for, in the format that was asked for. ".repeat(12);
  const operation = { description, parameters: [], responses: { "200": ok, "404": { description } } };
  const paths = Array.from({ length: operations }, (_, index) => [
    `/things/${index}`,
    { get: operation, put: operation },
  ]);
  return JSON.stringify({ ...DOCUMENT, paths: Object.fromEntries(paths) });
}

/** The longest time that this process could do nothing else while something went on. */
async function longestPauseMs(work: Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 5);
  await work;
  clearInterval(timer);
  return longest;
}

let validator = new OpenapiValidator();
afterEach(() => {
  validator = new OpenapiValidator();
});

describe("a document is checked", () => {
  it("and what is wrong is said, for one document after the other", async () => {
    const [fine, wrong, broken] = await Promise.all([
      validator.check(JSON.stringify({ ...DOCUMENT, paths: { "/": { get: { responses: { "200": ok } } } } })),
      validator.check(JSON.stringify({ openapi: "3.1.0", paths: {} })),
      validator.check(schemas({ A: { $ref: "#/components/schemas/B" } })),
    ]);
    expect(fine.problem).toBeUndefined();
    expect(wrong.problem).toMatch(/info/);
    expect(broken.problem).toMatch(/B/);
  });

  it("when it has more than five megabytes, and the process has other things to do meanwhile", async () => {
    const text = largeDocument(2_400);
    expect(text.length).toBeGreaterThan(5_000_000);
    const work = validator.check(text);
    const pause = await longestPauseMs(work);
    expect((await work).problem).toBeUndefined();
    expect(pause).toBeLessThan(500);
  });

  it("when its schemas refer to themselves and to each other", async () => {
    const circle = { type: "object", properties: { next: { $ref: "#/components/schemas/B" } } };
    const text = schemas({
      A: circle,
      B: { anyOf: [{ $ref: "#/components/schemas/A" }, { $ref: "#/components/schemas/B" }] },
    });
    expect((await validator.check(text)).problem).toBeUndefined();
    // A reference that is nothing but itself means nothing, whatever is said of it: it must only come to an end.
    await validator.check(schemas({ A: { $ref: "#/components/schemas/A" } }));
    await validator.check(JSON.stringify({ ...DOCUMENT, paths: { $ref: "#/paths" } }));
  });

  it("within its time although its references multiply to billions, and the next one as if nothing had been", async () => {
    validator = new OpenapiValidator({ timeoutMs: 3_000, memoryMb: 256 });
    const laughs: Record<string, unknown> = { L0: { type: "string" } };
    for (let level = 1; level <= 10; level += 1) {
      laughs[`L${level}`] = {
        allOf: Array.from({ length: 10 }, () => ({ $ref: `#/components/schemas/L${level - 1}` })),
      };
    }
    const startedMs = performance.now();
    const hostile = validator.check(schemas(laughs));
    expect(await longestPauseMs(hostile)).toBeLessThan(500);
    expect(performance.now() - startedMs).toBeLessThan(6_000);
    expect((await validator.check(schemas({ A: { type: "string" } }))).problem).toBeUndefined();
  });
});

describe("a thread", () => {
  it("that takes too long is ended, with what is wrong, and so is one that takes too much memory", async () => {
    const text = largeDocument(2_400);
    expect(await new OpenapiValidator({ timeoutMs: 20 }).check(text)).toEqual({ problem: "Takes too long to check" });
    expect(await new OpenapiValidator({ memoryMb: 16 }).check(text)).toEqual({
      problem: "Takes too much memory to check",
    });
  });

  it("lets only a few documents wait", async () => {
    validator = new OpenapiValidator({ waitingMax: 1 });
    const text = schemas({ A: { type: "string" } });
    const accepted = [validator.check(text), validator.check(text)];
    await expect(validator.check(text)).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "validator_busy" });
    expect(await Promise.all(accepted)).toEqual([{ problem: undefined }, { problem: undefined }]);
  });
});
