import { describe, expect, it } from "vitest";
import { badRequest, ERROR_CODES, notFound, TollgateError, toProblem, unavailable } from "./errors.ts";

describe("problem documents", () => {
  it("of an unknown error say nothing but the request id", () => {
    const secret = "password authentication failed for user tollgate at 10.0.0.7";
    for (const thrown of [
      new Error(secret),
      secret,
      { message: secret },
      undefined,
      null,
      new TollgateError("INTERNAL", secret),
    ]) {
      const problem = toProblem(thrown, "req_1");
      expect(problem).toMatchObject({ status: 500, code: "internal", requestId: "req_1" });
      expect(JSON.stringify(problem)).not.toContain("10.0.0.7");
    }
  });

  it("of a failure the caller may know name it, its fields and where it happened", () => {
    const error = badRequest("Not an address", {
      reason: "bad_email",
      issues: [{ path: "email", message: "Not an address" }],
    });
    expect(toProblem(error, "req_1", "/v1/x")).toEqual({
      type: "https://tollgate.dev/errors/bad-email",
      title: "Bad request",
      status: 400,
      detail: "Not an address",
      instance: "/v1/x",
      code: "bad_email",
      requestId: "req_1",
      issues: [{ path: "email", message: "Not an address" }],
    });
  });

  it("never carry a cause", () => {
    const error = unavailable("Try again", { cause: new Error("connect ECONNREFUSED 10.0.0.7") });
    expect(JSON.stringify(toProblem(error, "req_1"))).not.toContain("10.0.0.7");
  });
});

describe("errors", () => {
  it("have a status of their own, and only ours are faults", () => {
    for (const [code, { status, isFault }] of Object.entries(ERROR_CODES)) {
      const error = new TollgateError(code as keyof typeof ERROR_CODES, "x");
      expect([error.status, error.isFault]).toEqual([status, status >= 500]);
      expect(isFault).toBe(status >= 500);
    }
  });

  it("name what was not found", () => {
    expect(notFound("billing account")).toMatchObject({ reason: "billing_account_not_found", status: 404 });
  });
});
