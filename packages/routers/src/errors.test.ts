import { TRPCError } from "@trpc/server";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { toTollgateError } from "./errors.ts";

/** What a caller is told of an input that a schema refuses. */
function told(schema: z.ZodType, input: unknown) {
  const { error: cause } = schema.safeParse(input);
  if (cause === undefined) throw new Error("The input is valid");
  const { code, reason, message, issues } = toTollgateError(new TRPCError({ code: "BAD_REQUEST", cause }));
  return { code, reason, message, paths: issues.map((issue) => issue.path) };
}

const byIdOrEmail = z.union([z.strictObject({ id: z.string() }), z.strictObject({ email: z.email() })]);

describe("an input that is refused", () => {
  it("is told by the name of each field, the first one in the message", () => {
    const schema = z.object({ name: z.string(), list: z.array(z.object({ size: z.int() })) });
    expect(told(schema, { list: [{ size: 1 }, { size: 1.5 }] })).toEqual({
      code: "BAD_REQUEST",
      reason: "invalid_input",
      message: expect.stringMatching(/^The input is not valid: name: /),
      paths: ["name", "list.1.size"],
    });
  });

  it.each([
    ["of the wrong type", { id: 5 }, ["id"]],
    ["that is not valid", { email: "nobody" }, ["email"]],
    ["that is missing", {}, ["id"]],
    ["too many", { id: "a", email: "a@example.test" }, ["email"]],
    ["that nobody knows", { id: "a", size: 1 }, ["size"]],
  ])("is told by its field where one of several may be given: one %s", (_, input, paths) => {
    expect(told(byIdOrEmail, input).paths).toEqual(paths);
    expect(told(z.object({ who: byIdOrEmail }), { who: input }).paths).toEqual(paths.map((path) => `who.${path}`));
  });

  it("keeps the words that a schema has for a choice", () => {
    const schema = z.object({ scopes: z.union([z.array(z.string()), z.literal("*")], { error: "Names, or *" }) });
    expect(told(schema, { scopes: [5] })).toMatchObject({
      message: "The input is not valid: scopes: Names, or *",
      paths: ["scopes"],
    });
  });
});
