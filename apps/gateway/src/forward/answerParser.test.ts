import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnswerParser } from "./answerParser.ts";

interface Seen {
  status?: number;
  headers?: string[];
  reason?: string;
  body: string;
  trailers?: string[];
}

/** Gives the parser one answer in pieces; and says what it made of it. */
function read(
  pieces: readonly string[],
  isHeadRequest = false,
): Seen & { isPersistent: boolean; parser: AnswerParser } {
  const seen: Seen = { body: "" };
  const parser = new AnswerParser({
    onHead: (status, headers, reason) => Object.assign(seen, { status, headers, reason }),
    onBody: (chunk) => {
      seen.body += chunk.toString("latin1");
    },
    onEnd: (trailers) => {
      seen.trailers = trailers;
    },
  });
  parser.expect(isHeadRequest);
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, "latin1");
    parser.read(bytes);
    // What is read into next time is the same memory.
    bytes.fill(0);
  }
  return { ...seen, isPersistent: parser.isPersistent, parser };
}

const LENGTH = "HTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED =
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n6;why=not\r\n world\r\n0\r\nX-Sum: 1\r\nX-B:\t2 \r\n\r\n";
const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";

describe("an answer", () => {
  it("of a known length ends with its last byte, and its connection goes on", () => {
    expect(read([LENGTH])).toMatchObject({
      status: 200,
      reason: "Fine",
      headers: ["X-A", "b", "Content-Length", "5"],
      body: "hello",
      trailers: [],
      isPersistent: true,
    });
  });

  it("in chunks ends after its trailers", () => {
    const trailers = ["X-Sum", "1", "X-B", "2"];
    expect(read([CHUNKED])).toMatchObject({ body: "hello world", trailers, isPersistent: true });
    expect(read(["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"])).toMatchObject({ trailers: [] });
  });

  it("of no stated length ends with its connection", () => {
    const { parser, ...seen } = read(["HTTP/1.1 200 OK\r\n\r\nhello"]);
    expect(seen).toMatchObject({ body: "hello", isPersistent: false });
    expect(seen.trailers).toBeUndefined();
    expect(() => parser.end()).not.toThrow();
  });

  it.each([
    ["to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n", false],
    ["304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false],
    ["of length 0", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false],
  ])("%s has no body", (_, text, isHeadRequest) => {
    expect(read([text], isHeadRequest)).toMatchObject({ body: "", trailers: [] });
  });

  it("comes after any number of interim ones", () => {
    expect(read([HINTS + HINTS + LENGTH])).toMatchObject({ status: 200, body: "hello" });
  });

  it.each([
    ["HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n", false],
    ["HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false],
    ["HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", true],
  ])("says whether its connection goes on: %j", (text, isPersistent) => {
    expect(read([text]).isPersistent).toBe(isPersistent);
  });

  it("says how long its connection is kept", () => {
    expect(read(["HTTP/1.1 204 A\r\nKeep-Alive: max=9, timeout=7\r\n\r\n"]).parser.keepAliveSeconds).toBe(7);
    expect(read([LENGTH]).parser.keepAliveSeconds).toBe(-1);
  });

  it("is the same however its bytes are cut", () => {
    const places = fc.array(fc.nat(200), { maxLength: 8 });
    fc.assert(
      fc.property(fc.constantFrom(LENGTH, CHUNKED, HINTS + CHUNKED), places, (text, cuts) => {
        const all = [...new Set([0, ...cuts.filter((cut) => cut < text.length), text.length])].sort((a, b) => a - b);
        const { parser: _, ...cut } = read(all.slice(1).map((place, index) => text.slice(all[index], place)));
        const { parser: __, ...whole } = read([text]);
        expect(cut).toEqual(whole);
      }),
    );
  });
});

describe("no answer", () => {
  const head = (lines: string): string => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n`;

  it.each([
    ["another protocol", "220 ready\r\n\r\n"],
    ["another version", "HTTP/2.0 200 OK\r\n\r\n"],
    ["a status that is none", "HTTP/1.1 099 OK\r\n\r\n"],
    ["a status line that goes on", "HTTP/1.1  200 OK\r\n\r\n"],
    ["an upgrade that nobody asked for", "HTTP/1.1 101 Switching\r\n\r\n"],
    ["two lengths", head("Content-Length: 2\r\nContent-Length: 2")],
    ["lengths in a list", head("Content-Length: 2, 2")],
    ["a length with a sign", head("Content-Length: +2")],
    ["a length in another notation", head("Content-Length: 0x2")],
    ["an empty length", head("Content-Length:")],
    ["a length and chunks", head("Content-Length: 2\r\nTransfer-Encoding: chunked")],
    ["chunks and a length", head("Transfer-Encoding: chunked\r\nContent-Length: 2")],
    ["a coding under the chunks", head("Transfer-Encoding: gzip, chunked")],
    ["another coding", head("Transfer-Encoding: xchunked")],
    ["chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a folded line", head("X-A: b\r\n c")],
    ["a blank before the colon", head("Content-Length : 2")],
    ["a name that is none", head("X A: b")],
    ["no name", head(": b")],
    ["a line without a colon", head("nothing")],
    ["a carriage return in a value", head("X-A: b\rX-B: c")],
    ["a line feed in a value", head("X-A: b\nX-B: c")],
    ["a null in a value", head("X-A: b\0c")],
    ["a vertical tab at the end of a length", head("Content-Length: 2\v")],
    ["a line feed in the status line", "HTTP/1.1 200 O\nK\r\n\r\n"],
    ["a chunk's size that is none", `${head("Transfer-Encoding: chunked")}g\r\n`],
    ["a chunk's size with a sign", `${head("Transfer-Encoding: chunked")}-1\r\n`],
    ["a chunk's size with a prefix", `${head("Transfer-Encoding: chunked")}0x1\r\na\r\n`],
    ["a chunk's size beyond all measure", `${head("Transfer-Encoding: chunked")}fffffffffffffffff\r\n`],
    ["a chunk that is longer than its size", `${head("Transfer-Encoding: chunked")}1\r\nab\r\n`],
    ["a chunk's size that ends with a line feed alone", `${head("Transfer-Encoding: chunked")}1\na\r\n0\r\n\r\n`],
    ["a trailer that is none", `${head("Transfer-Encoding: chunked")}0\r\nX A: b\r\n\r\n`],
    ["a head without end", `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(17_000)}`],
    ["a chunk's size without end", `${head("Transfer-Encoding: chunked")}1;${"a".repeat(2_000)}`],
    ["trailers without end", `${head("Transfer-Encoding: chunked")}0\r\nX-A: ${"a".repeat(17_000)}`],
    ["more than an answer", `${LENGTH}H`],
    ["two answers", LENGTH + LENGTH],
  ])("is %s", (_, text) => {
    expect(() => read([text])).toThrow(expect.objectContaining({ code: "BAD_ANSWER" }));
    expect(() => read([...text])).toThrow(expect.objectContaining({ code: "BAD_ANSWER" }));
  });

  it.each([
    ["its length", LENGTH.slice(0, -1)],
    ["its last chunk", CHUNKED.slice(0, -2)],
    ["its head", "HTTP/1.1 200 OK\r\n"],
    ["anything came", ""],
  ])("is one whose connection ended before %s", (_, text) => {
    expect(() => read([text]).parser.end()).toThrow(expect.objectContaining({ code: "BAD_ANSWER" }));
  });

  it("is what comes when nothing was asked", () => {
    const parser = new AnswerParser({
      onHead: () => expect.fail(),
      onBody: () => expect.fail(),
      onEnd: () => expect.fail(),
    });
    expect(() => parser.read(Buffer.from("H"))).toThrow(expect.objectContaining({ code: "BAD_ANSWER" }));
  });
});
