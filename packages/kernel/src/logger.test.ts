import { describe, expect, it } from "vitest";
import { createLogger } from "./logger.ts";

const SECRET = "hunter2-hunter2";

function logged(fields: object): string {
  const lines: string[] = [];
  createLogger({ name: "test", level: "trace" }, { write: (line: string) => lines.push(line) }).info(fields, "message");
  return lines.join("");
}

describe("the log", () => {
  it.each([
    "password",
    "token",
    "accessToken",
    "refreshToken",
    "key",
    "secret",
    "authorization",
    "cookie",
    "email",
    "code",
  ])("never shows a %s, at the top or two levels down", (field) => {
    for (const fields of [
      { [field]: SECRET },
      { input: { [field]: SECRET } },
      { request: { headers: { [field]: SECRET } } },
    ]) {
      const line = logged(fields);
      expect(line).not.toContain(SECRET);
      expect(line).toContain("[redacted]");
    }
  });

  it("shows the code of an error, which is no secret", () => {
    const error = Object.assign(new Error("could not serialize access"), { code: "40001" });
    expect(JSON.parse(logged({ err: error }))).toMatchObject({ err: { errorCode: "40001" } });
  });

  it("shows of an error and its causes the text, and nothing that they carry along", () => {
    const cause = Object.assign(new Error("duplicate key"), {
      code: "23505",
      constraint_name: "customers_email_live_key",
      detail: `Key (email)=(${SECRET}) already exists.`,
      parameters: [SECRET],
    });
    const message = `Failed query: insert into "customers" values ($1)\nparams: ${SECRET},\nsecond line`;
    const line = logged({
      err: Object.assign(new Error(message, { cause }), { params: [SECRET], request: { SECRET } }),
    });
    expect(line).not.toContain(SECRET);
    expect(line).not.toContain("second line");
    expect(JSON.parse(line).err).toMatchObject({
      message: 'Failed query: insert into "customers" values ($1)',
      stack: expect.stringContaining("logger.test.ts"),
      cause: { errorCode: "23505", message: "duplicate key", constraint_name: "customers_email_live_key" },
    });
  });

  it.each([
    ["key tg_live_abcdefghijklmnopqrstuvwxyz0123456789AB is not known", "key [key] is not known"],
    ["bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjdXNfMSJ9.c2lnbmF0dXJl", "bearer [token]"],
    ["secret whsec_abcdef0123456789", "secret [secret]"],
    [
      "connect postgres://app:hunter2@db.internal:5432/tollgate",
      "connect postgres://[credentials]@db.internal:5432/tollgate",
    ],
    ["550 no mailbox <ada@example.com>", "550 no mailbox <[address]>"],
    ["at file:///srv/apps/api/src/main.ts:10:5", "at file:///srv/apps/api/src/main.ts:10:5"],
    ["at node_modules/@tollgate/db/src/index.ts", "at node_modules/@tollgate/db/src/index.ts"],
  ])("shows no secret that an error's text quotes: %s", (text, shown) => {
    expect(JSON.parse(logged({ err: new Error(text) })).err.message).toBe(shown);
  });

  it("shows everything else, and which process it comes from", () => {
    const entry = JSON.parse(logged({ projectId: "prj_1" }));
    expect(entry).toMatchObject({ name: "test", pid: process.pid, projectId: "prj_1", msg: "message" });
  });
});
