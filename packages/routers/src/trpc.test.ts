import type { Actor } from "@tollgate/kernel";
import { unauthorized } from "@tollgate/kernel";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { RequestContext } from "./context.ts";
import { toTollgateError } from "./errors.ts";
import {
  adminOrServiceProcedure,
  adminProcedure,
  authenticatedProcedure,
  customerProcedure,
  publicProcedure,
  router,
  serviceProcedure,
} from "./trpc.ts";

const CALLERS = {
  anonymous: { kind: "anonymous" },
  customer: { kind: "customer", customerId: "cus_1", sessionId: "ses_1", isOperator: false },
  operator: { kind: "customer", customerId: "cus_2", sessionId: "ses_2", isOperator: true },
  service: { kind: "service", service: "robot" },
} as const satisfies Record<string, Actor>;

const whoAmI = router({
  public: publicProcedure.query(({ ctx }) => ctx.actor.kind),
  authenticated: authenticatedProcedure.query(({ ctx }) => ctx.actor.kind),
  customer: customerProcedure.query(({ ctx }) => ctx.actor.kind),
  admin: adminProcedure.query(({ ctx }) => ctx.actor.kind),
  service: serviceProcedure.query(({ ctx }) => ctx.actor.kind),
  adminOrService: adminOrServiceProcedure.query(({ ctx }) => ctx.actor.kind),
});

/** Builders look at nothing of the context but this. */
const contextOf = (authenticate: () => Promise<Actor>, isInMaintenance = false): RequestContext =>
  ({
    actor: CALLERS.anonymous,
    requestId: "req_test",
    settings: { ...LIVE_SETTING_DEFAULTS, maintenance: isInMaintenance },
    authenticate,
  }) as Partial<RequestContext> as RequestContext;

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "OK",
    (error: unknown) => toTollgateError(error).code,
  );

describe("the builders", () => {
  it.each([
    ["public", "OK", "OK", "OK", "OK"],
    ["authenticated", "UNAUTHORIZED", "OK", "OK", "OK"],
    ["customer", "UNAUTHORIZED", "OK", "OK", "FORBIDDEN"],
    ["admin", "UNAUTHORIZED", "FORBIDDEN", "OK", "FORBIDDEN"],
    ["service", "UNAUTHORIZED", "FORBIDDEN", "FORBIDDEN", "OK"],
    ["adminOrService", "UNAUTHORIZED", "FORBIDDEN", "OK", "OK"],
  ] as const)("let %s procedures be called by whom they name", async (name, anonymous, customer, operator, service) => {
    const expected = { anonymous, customer, operator, service };
    for (const [caller, code] of Object.entries(expected)) {
      const actor = CALLERS[caller as keyof typeof CALLERS];
      const call = whoAmI.createCaller(contextOf(async () => actor))[name]();
      expect({ caller, code: await codeOf(call) }).toEqual({ caller, code });
    }
  });

  it("do not look at the token of a public call, so a stale one does not keep anybody from signing in", async () => {
    const caller = whoAmI.createCaller(
      contextOf(async () => {
        throw unauthorized("The access token has expired");
      }),
    );
    expect(await caller.public()).toBe("anonymous");
    expect(await codeOf(caller.authenticated())).toBe("UNAUTHORIZED");
  });
});

describe("a call that loses against another transaction", () => {
  const conflict = (): Error =>
    new Error("Failed query", { cause: Object.assign(new Error("restart transaction"), { code: "40001" }) });

  it("runs again if it is a query, and only then", async () => {
    const runs = { query: 0, mutation: 0 };
    const flaky = router({
      query: publicProcedure.query(() => {
        runs.query += 1;
        if (runs.query < 3) throw conflict();
        return "read";
      }),
      mutation: publicProcedure.mutation(() => {
        runs.mutation += 1;
        throw conflict();
      }),
    }).createCaller(contextOf(async () => CALLERS.anonymous));
    expect(await flaky.query()).toBe("read");
    expect(await codeOf(flaky.mutation())).toBe("INTERNAL");
    expect(runs).toEqual({ query: 3, mutation: 1 });
  });

  it("is not confused with a failure that would come again", async () => {
    let runs = 0;
    const caller = router({
      query: publicProcedure.query(() => {
        runs += 1;
        throw new Error("a bug");
      }),
    }).createCaller(contextOf(async () => CALLERS.anonymous));
    expect(await codeOf(caller.query())).toBe("INTERNAL");
    expect(runs).toBe(1);
  });
});

describe("an answer", () => {
  it("carries the fields of its contract and no others", async () => {
    const row = { id: "x", passwordHash: "secret" };
    const caller = router({
      read: publicProcedure.output(z.object({ id: z.string() })).query(() => row),
    }).createCaller(contextOf(async () => CALLERS.anonymous));
    expect(await caller.read()).toEqual({ id: "x" });
  });
});

describe("a value that no column can hold", () => {
  it.each(["22003", "22007", "22008", "22021", "22P05"])("is the caller's mistake: SQLSTATE %s", async (code) => {
    const caller = router({
      write: publicProcedure.mutation(() => {
        throw new Error("Failed query", { cause: Object.assign(new Error("bad value"), { code }) });
      }),
    }).createCaller(contextOf(async () => CALLERS.anonymous));
    expect(await codeOf(caller.write())).toBe("BAD_REQUEST");
  });
});

describe("in maintenance", () => {
  const changes = router({
    open: publicProcedure.meta({ isOpenInMaintenance: true }).mutation(() => "done"),
    public: publicProcedure.mutation(() => "done"),
    customer: customerProcedure.mutation(() => "done"),
    admin: adminProcedure.mutation(() => "done"),
    adminOrService: adminOrServiceProcedure.mutation(() => "done"),
    service: serviceProcedure.mutation(() => "done"),
    read: customerProcedure.query(() => "read"),
  });
  const callAs = (actor: Actor) => changes.createCaller(contextOf(async () => actor, true));

  it("nobody but an operator changes anything, except what is open, and all can read", async () => {
    const customer = callAs(CALLERS.customer);
    expect(await codeOf(customer.public())).toBe("UNAVAILABLE");
    expect(await codeOf(customer.customer())).toBe("UNAVAILABLE");
    expect(await codeOf(callAs(CALLERS.service).service())).toBe("UNAVAILABLE");
    expect(await codeOf(callAs(CALLERS.service).adminOrService())).toBe("UNAVAILABLE");
    expect(await codeOf(callAs(CALLERS.anonymous).public())).toBe("UNAVAILABLE");
    expect(await callAs(CALLERS.anonymous).open()).toBe("done");
    expect(await customer.read()).toBe("read");
    const operator = callAs(CALLERS.operator);
    expect(await Promise.all([operator.public(), operator.admin(), operator.adminOrService()])).toEqual(
      Array(3).fill("done"),
    );
  });

  it("whoever comes with a token that is not valid learns of the maintenance, with when to come again", async () => {
    const caller = changes.createCaller(
      contextOf(async () => {
        throw unauthorized();
      }, true),
    );
    await expect(caller.public()).rejects.toMatchObject({
      cause: { code: "UNAVAILABLE", reason: "maintenance", retryAfterSeconds: 60 },
    });
  });
});
