import { describe, expect, it } from "vitest";
import { readKey, readTarget, upstreamPath } from "./target.ts";

describe("where a call goes", () => {
  it.each([
    ["/v1/qr/generate", { api: "qr", endpoint: "generate", rest: "", query: "" }],
    ["/v1/QR/generate?text=a/b", { api: "qr", endpoint: "generate", rest: "", query: "?text=a/b" }],
    ["/v1/qr/generate/a/b?x", { api: "qr", endpoint: "generate", rest: "a/b", query: "?x" }],
    ["/v1/qr/generate/", { api: "qr", endpoint: "generate", rest: "", query: "" }],
    ["/v1/qr/generate?", { api: "qr", endpoint: "generate", rest: "", query: "?" }],
    ["/v1//x", { api: "", endpoint: "x", rest: "", query: "" }],
  ])("%s", (url, target) => {
    expect(readTarget(url)).toEqual(target);
  });

  it.each(["/", "/v1", "/v1/", "/v1/qr", "/v1/qr?a/b", "/v2/qr/x", "http://h/v1/qr/x", "*", "", "/V1/qr/x"])(
    "%j is no call",
    (url) => {
      expect(readTarget(url)).toBeUndefined();
    },
  );
});

describe("the upstream's path", () => {
  it.each([
    ["/items/{id}", "7", "/items/7"],
    ["/items/{id}/of/{owner}", "7/me", "/items/7/of/me"],
    ["/items/{id}", "%252e%252e", "/items/%252e%252e"],
    ["/items/{id}.json", "a", "/items/a.json"],
    ["/{a}{b}", "x/y", "/xy"],
  ])("%s filled with %s", (path, rest, filled) => {
    expect(upstreamPath(path, true, rest)).toBe(filled);
  });

  it.each([
    "",
    "7/8",
    "/7",
    "7/",
    "..",
    "%2e%2e",
    "%2E.",
    ".",
    "a%2fb",
    "a%2Fb",
    "a%5Cb",
    "a\\b",
    "%0d%0a",
    "%7f",
    "%zz",
    "%",
    "..;",
    ".;x",
  ])("takes no %j for one segment", (rest) => {
    expect(upstreamPath("/items/{id}", true, rest)).toBeUndefined();
  });

  it("of an endpoint without parameters is its own and takes nothing more", () => {
    expect(upstreamPath("/items", false, "")).toBe("/items");
    expect(upstreamPath("/items", false, "more")).toBeUndefined();
  });

  it("keeps a replacement pattern in a segment as it is", () => {
    expect(upstreamPath("/items/{id}", true, "$&$1$$")).toBe("/items/$&$1$$");
  });
});

describe("the key", () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

  it.each([
    ["Bearer k", "k"],
    ["bearer   k", "k"],
    ["BEARER k", "k"],
    [basic("user:k"), "k"],
    [basic(":k"), "k"],
    [basic("user:k:with:colons"), "k:with:colons"],
    [basic("user:"), ""],
    [basic("user").toLowerCase().slice(0, 0) + basic("a:b").replace("Basic", "basic"), "b"],
  ])("in %j is %j", (header, key) => {
    expect(readKey(header)).toBe(key);
  });

  it.each([undefined, "", "k", "Token k", basic("no colon"), "Basic", "Basic ???", "Bearer"])(
    "is not in %j",
    (header) => {
      expect(readKey(header)).toBeUndefined();
    },
  );
});
