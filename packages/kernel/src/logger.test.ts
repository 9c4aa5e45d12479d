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

  it("shows everything else, and which process it comes from", () => {
    const entry = JSON.parse(logged({ projectId: "prj_1" }));
    expect(entry).toMatchObject({ name: "test", pid: process.pid, projectId: "prj_1", msg: "message" });
  });
});
