import { describe, expect, it } from "vitest";
import { readAnswerHead, requestHeaders } from "./headers.ts";

const answer = (...parts: string[]) => readAnswerHead(parts.map((part) => Buffer.from(part, "latin1")));

describe("headers for the upstream", () => {
  it("leave out the key, hop-by-hop headers and what the gateway says itself, in any spelling", () => {
    const stopped = [
      "AUTHORIZATION",
      "Host",
      "connection",
      "Keep-Alive",
      "TE",
      "Trailer",
      "Transfer-Encoding",
      "Upgrade",
    ];
    const spoofed = [
      "X-Forwarded-For",
      "Tollgate-Call-Id",
      "Tollgate-Units",
      "traceparent",
      "Proxy-Authorization",
      "Expect",
    ];
    const raw = [...stopped, ...spoofed].flatMap((name) => [name, "x"]);
    expect(requestHeaders([...raw, "X-Mine", "1", "Accept", "a", "accept", "b"], undefined, undefined)).toEqual([
      ...["X-Mine", "1", "Accept", "a", "accept", "b"],
    ]);
  });

  it("leave out what Connection names, however it is spelled", () => {
    expect(requestHeaders(["X-One", "1", "x-TWO", "2", "X-Three", "3"], " Close , X-ONE,x-two ", undefined)).toEqual([
      "X-Three",
      "3",
    ]);
    expect(requestHeaders(["X-One", "1"], "keep-alive", undefined)).toEqual(["X-One", "1"]);
  });
});

describe("an answer's head", () => {
  it("gives the client all but hop-by-hop headers and lookalikes of the gateway's own", () => {
    const head = answer(
      ...[
        "Content-Type",
        "text/plain",
        "CONTENT-LENGTH",
        "12",
        "Connection",
        "x-hop",
        "X-Hop",
        "1",
        "tollgate-price",
        "0",
      ],
      ...[
        "Tollgate-Balance",
        "9",
        "RateLimit",
        "x",
        "Transfer-Encoding",
        "chunked",
        "Set-Cookie",
        "a",
        "Set-Cookie",
        "b",
      ],
    );
    expect(head.headers).toEqual([
      "Content-Type",
      "text/plain",
      "CONTENT-LENGTH",
      "12",
      "Set-Cookie",
      "a",
      "Set-Cookie",
      "b",
    ]);
    expect(head.contentLength).toBe(12);
  });

  it("says -1 for a length or units that the upstream did not state", () => {
    expect(answer("A", "b")).toMatchObject({ contentLength: -1, units: -1 });
  });

  it.each([
    ["7", 7],
    ["0", 0],
    ["007", 7],
    ["1e3", -1],
    ["-1", -1],
    ["1.5", -1],
    ["", -1],
    ["9999999999999999", -1],
  ])("reads units %j as %d", (text, units) => {
    expect(answer("tollgate-UNITS", text).units).toBe(units);
  });

  it("keeps bytes above 127 as they came", () => {
    expect(answer("X-Name", "caf\xe9").headers).toEqual(["X-Name", "caf\xe9"]);
  });
});
