import { Keyring, silentLogger } from "@tollgate/kernel";
import { describe, expect, it } from "vitest";
import { openCredentials, UpstreamCredentials } from "./upstreamCredentials.ts";

const header = (name: string, value: string) => ({ placement: "header", name, value }) as const;
const query = (name: string, value: string) => ({ placement: "query", name, value }) as const;

describe("credentials of an upstream", () => {
  it("replace the caller's headers of the same names, in any spelling", () => {
    const credentials = new UpstreamCredentials([header("x-api-key", "ours")]);
    expect(credentials.addToHeaders(["X-API-Key", "theirs", "Accept", "*/*", "x-api-key", "again"])).toEqual([
      "Accept",
      "*/*",
      "x-api-key",
      "ours",
    ]);
    expect(credentials.tokenHeader).toBe("authorization");
  });

  it("in Authorization move the gateway's token aside", () => {
    expect(new UpstreamCredentials([header("authorization", "Basic b3Vycw==")]).tokenHeader).toBe(
      "tollgate-authorization",
    );
  });

  it.each([
    ["/p", "/p?appid=a%20b%26c"],
    ["/p?", "/p?appid=a%20b%26c"],
    ["/p?q=1", "/p?q=1&appid=a%20b%26c"],
    ["/p?appid=theirs&q=1&q=2", "/p?q=1&q=2&appid=a%20b%26c"],
    ["/p?APPID=theirs&%61ppid=theirs&appid", "/p?appid=a%20b%26c"],
    ["/p?appid2=x&%zz=1", "/p?appid2=x&%zz=1&appid=a%20b%26c"],
  ])("replace the caller's parameters in %s", (path, expected) => {
    expect(new UpstreamCredentials([query("appid", "a b&c")]).addToPath(path)).toBe(expected);
  });

  it("that cannot be opened are known to be missing, and those of other APIs are there", () => {
    const ring = new Keyring("a".repeat(32));
    const good = { id: "sct_1", apiId: "api_1", placement: "header", name: "x" } as const;
    const sealed = ring.seal(JSON.stringify(["upstream_secrets", "sct_1", "api_1", "header", "x"]), "v");
    const opened = openCredentials(
      ring,
      [
        { ...good, ...sealed },
        { ...good, ...sealed, apiId: "api_2" },
      ],
      silentLogger,
    );
    expect(opened.get("api_1")?.isSealed).toBe(false);
    expect(opened.get("api_1")?.addToHeaders([])).toEqual(["x", "v"]);
    expect(opened.get("api_2")?.isSealed).toBe(true);
  });
});
