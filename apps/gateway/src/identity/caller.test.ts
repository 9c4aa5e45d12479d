import { silentLogger, TestClock } from "@tollgate/kernel";
import { describe, expect, it } from "vitest";
import { BudgetPool } from "../budgets/budgetPool.ts";
import { idleLimits, keyRecord } from "../testing/records.ts";
import { Caller } from "./caller.ts";

const clock = new TestClock("2026-03-31T21:59:00Z");
const pool = new BudgetPool({
  clock,
  logger: silentLogger,
  sliceSeconds: 3,
  holderId: () => "gw_1.0",
  onHolderClosed: () => undefined,
  ports: { lease: () => Promise.resolve([]), recall: () => undefined, announceReturned: () => undefined },
});
const callerOf = (changes: Parameters<typeof keyRecord>[0]): Caller =>
  new Caller(keyRecord(changes), pool, idleLimits());
const reasonFrom = (cidrs: string[], address: string | undefined): string | undefined =>
  callerOf({ allowedCidrs: cidrs }).refuseAddress(address)?.reason;

describe("addresses that a key is for", () => {
  it.each([
    [["10.0.0.0/8"], "10.255.0.1"],
    [["10.0.0.0/8"], "::ffff:10.1.2.3"],
    [["192.0.2.7"], "192.0.2.7"],
    [["2001:db8::/32"], "2001:db8:1::1"],
    [["::1"], "::1"],
    [["10.0.0.0/8", "2001:db8::/32"], "2001:db8::5"],
    [["0.0.0.0/0"], "203.0.113.9"],
    [["10.1.2.3/8"], "10.9.9.9"],
  ])("%j hold %s", (cidrs, address) => {
    expect(reasonFrom(cidrs, address)).toBeUndefined();
  });

  it.each([
    [["10.0.0.0/8"], "11.0.0.1"],
    [["10.0.0.0/8"], "2001:db8::1"],
    [["192.0.2.7"], "192.0.2.8"],
    [["2001:db8::/32"], "2001:db9::1"],
    [["0.0.0.0/0"], "2001:db8::1"],
    [["::/0"], ""],
    [["::/0", "0.0.0.0/0"], undefined],
    [[], "10.0.0.1"],
    [["not a network"], "10.0.0.1"],
  ])("%j do not hold %s", (cidrs, address) => {
    expect(reasonFrom(cidrs, address)).toBe("address_not_allowed");
  });
});

describe("whether a key may be used", () => {
  it("ends when it is revoked or blocked, or its project is deleted", () => {
    const reasonOf = (changes: Parameters<typeof keyRecord>[0]) => callerOf(changes).refuse(0)?.reason;
    expect(reasonOf({ status: "revoked" })).toBe("invalid_key");
    expect(reasonOf({ status: "blocked", blockedMessage: "no" })).toBe("key_blocked");
    expect(reasonOf({ project: { id: "prj_1", isDeleted: true, monthlySpendCapMicros: null } })).toBe("invalid_key");
  });

  it("ends at the instant of expiry", () => {
    const caller = callerOf({ expiresAtMs: 1_000 });
    expect(caller.refuse(999)).toBeUndefined();
    expect(caller.refuse(1_000)?.reason).toBe("expired_key");
  });

  it("is refused for being revoked before having expired, and for having expired before being blocked", () => {
    expect(callerOf({ status: "revoked", expiresAtMs: 1_000 }).refuse(1_000)?.reason).toBe("invalid_key");
    const blocked = callerOf({ status: "blocked", expiresAtMs: 1_000 });
    expect(blocked.refuse(999)?.reason).toBe("key_blocked");
    expect(blocked.refuse(1_000)?.reason).toBe("expired_key");
  });

  it("holds for the APIs of its scopes", () => {
    expect(callerOf({ scopes: ["*"] }).hasScope("qr")).toBe(true);
    expect(callerOf({ scopes: ["qr", "ip"] }).hasScope("ip")).toBe(true);
    expect(callerOf({ scopes: ["qr"] }).hasScope("q")).toBe(false);
    expect(callerOf({ scopes: [] }).hasScope("qr")).toBe(false);
  });
});

describe("a caller's budgets", () => {
  it("are those of the month in the account's own time zone", () => {
    const caller = callerOf({
      billingAccount: { id: "ba_7", timeZone: "Europe/Berlin" },
      project: { id: "prj_7", isDeleted: false, monthlySpendCapMicros: 5n as never },
      monthlySpendCapMicros: 3n as never,
      rootKeyId: "key_root",
    });
    caller.renew(Date.parse("2026-03-31T21:59:59.999Z"));
    expect(caller.money.map((slice) => slice.id)).toEqual([
      "wallet:ba_7",
      "project_cap:prj_7:2026-03",
      "key_cap:key_root:2026-03",
    ]);
    const [march] = caller.endpointFree("ep_1", 10);
    caller.renew(Date.parse("2026-03-31T22:00:00Z"));
    expect(caller.money.map((slice) => slice.id)).toEqual([
      "wallet:ba_7",
      "project_cap:prj_7:2026-04",
      "key_cap:key_root:2026-04",
    ]);
    expect(caller.tierFree.map((slice) => slice.id)).toEqual(["tier_free:ba_7:2026-04"]);
    expect([march?.id, caller.endpointFree("ep_1", 10)[0]?.id]).toEqual([
      "endpoint_free:ba_7:ep_1:2026-03",
      "endpoint_free:ba_7:ep_1:2026-04",
    ]);
  });

  it("of a test key are those of the day", () => {
    const caller = callerOf({ mode: "test" });
    caller.renew(Date.parse("2026-03-31T23:59:59Z"));
    expect(caller.testCalls[0]?.id).toBe("test_calls:prj_1:2026-03-31");
    caller.renew(Date.parse("2026-04-01T00:00:00Z"));
    expect(caller.testCalls[0]?.id).toBe("test_calls:prj_1:2026-04-01");
  });
});
