import type { OauthProvider } from "@tollgate/contracts";
import { completeOauthInput, startOauthInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { OauthStandIns } from "@tollgate/dev/oauth-stand-ins";
import { startOauthStandIns } from "@tollgate/dev/oauth-stand-ins";
import type { Actor } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, SYSTEM } from "../../test/serviceFixture.ts";
import { PASSWORD, signUp } from "../../test/signUp.ts";
import { login, readMe } from "../customers/index.ts";
import { sendVerificationEmail } from "../onboarding/index.ts";
import type { OauthContext } from "./index.ts";
import {
  completeOauth,
  createOauthProviders,
  linkOauth,
  listOauth,
  OauthProviders,
  returnFromProvider,
  startOauth,
  sweepOauthStates,
  unlinkOauth,
} from "./index.ts";

const TIMEOUT_MS = 400;
const PAGE = "https://app.example.test/sign-in";
let fixture: ServiceFixture;
let standIns: OauthStandIns;
let oauthProviders: OauthProviders;

beforeAll(async () => {
  fixture = await createServiceFixture();
  standIns = await startOauthStandIns({ google: 0, github: 0 });
  oauthProviders = connect();
});
afterAll(async () => {
  await standIns.stop();
  await fixture.close();
});
afterEach(() => {
  standIns.google.setFault("none");
  standIns.github.setFault("none");
});

/** The providers as a process knows them that has just begun. */
function connect(timeoutMs = TIMEOUT_MS): OauthProviders {
  const registration = ({ clientId, clientSecret, url }: OauthStandIns["google"]) => ({
    clientId,
    clientSecret,
    baseUrl: url,
  });
  return createOauthProviders({
    registrations: { google: registration(standIns.google), github: registration(standIns.github) },
    publicApiUrl: fixture.settings.publicApiUrl,
    returnOrigins: [fixture.settings.publicWebUrl],
    allowsLocalhost: false,
    timeoutMs,
  });
}

const browser = (actor?: Actor): OauthContext => ({ ...fixture.as(actor), oauthProviders, isFromBrowser: true });
const program = (actor?: Actor): OauthContext => ({ ...browser(actor), isFromBrowser: false });

const start = (provider: OauthProvider, ctx = browser(), redirectTo: string | undefined = PAGE) =>
  startOauth({ ctx, input: startOauthInput.parse({ provider, redirectTo }) });

/** What the person does at the provider. @returns the query that the browser comes back with */
async function consent(url: string, as: string, extra: Record<string, string> = {}): Promise<URLSearchParams> {
  const page = new URL(url);
  for (const [name, value] of Object.entries({ as, ...extra })) page.searchParams.set(name, value);
  const response = await fetch(page, { redirect: "manual" });
  return new URL(response.headers.get("location") ?? "").searchParams;
}

const finish = (
  provider: OauthProvider,
  answer: URLSearchParams,
  binding: string | undefined,
  ctx = browser(),
): ReturnType<typeof completeOauth> =>
  completeOauth({
    ctx,
    input: completeOauthInput.parse({
      provider,
      code: answer.get("code") ?? "",
      state: answer.get("state") ?? "",
      ...(binding === undefined ? {} : { binding }),
    }),
  });

async function signInAs(provider: OauthProvider, email: string, extra: Record<string, string> = {}) {
  const { url, binding } = await start(provider);
  return finish(provider, await consent(url, email, extra), binding);
}

async function customerOf(accessToken: string): Promise<Actor> {
  const { tokenIssuer } = fixture.as();
  const { customerId, sessionId } = await tokenIssuer.verifyAccessToken(accessToken);
  return customerActor(customerId, sessionId);
}

async function link(provider: OauthProvider, actor: Actor, email: string, extra: Record<string, string> = {}) {
  const { url, binding } = await linkOauth({ ctx: browser(actor), input: { provider, redirectTo: PAGE } });
  return finish(provider, await consent(url, email, extra), binding);
}

const idOf = (actor: Actor): string => (actor.kind === "customer" ? actor.customerId : "");

describe.each(["google", "github"] as const)("signing in with %s", (provider) => {
  test("makes a customer with a project and a wallet the first time, and finds them after that", async () => {
    const email = fixture.newEmail();
    const first = await signInAs(provider, email.toUpperCase());
    expect(first).toMatchObject({ isSignup: true, accessToken: expect.any(String), refreshToken: expect.any(String) });
    const actor = await customerOf(first.accessToken);
    const me = await readMe({ ctx: fixture.as(actor) });
    expect(me).toMatchObject({ customer: { email, status: "verified" }, projects: [{ role: "owner" }] });
    expect(me.billingAccounts).toHaveLength(1);
    const second = await signInAs(provider, email);
    expect(second.isSignup).toBe(false);
    expect(idOf(await customerOf(second.accessToken))).toBe(idOf(actor));
    const { db } = fixture.as();
    const events = await db.select().from(schema.outbox);
    const own = events.filter((event) => event.payload["customerId"] === idOf(actor) && event.kind === "event");
    expect(own.map((event) => event.name).toSorted()).toEqual([
      "customers.created",
      "customers.loggedIn",
      "customers.signedUp",
      "customers.verified",
      "oauth.linked",
      "projects.created",
    ]);
    expect(own.find((event) => event.name === "customers.signedUp")?.payload["method"]).toBe(provider);
  });

  test("finds the customer when their address at the provider has changed", async () => {
    const subject = String(Math.floor(Math.random() * 1e12));
    const first = await signInAs(provider, fixture.newEmail(), { subject });
    const second = await signInAs(provider, fixture.newEmail(), { subject });
    expect(second.isSignup).toBe(false);
    expect(idOf(await customerOf(second.accessToken))).toBe(idOf(await customerOf(first.accessToken)));
  });

  test("is linked to the customer whose verified address it is, and leaves their password alone", async () => {
    const { email, customer } = await signUp(fixture);
    const signedIn = await signInAs(provider, email);
    expect(signedIn.isSignup).toBe(false);
    expect(idOf(await customerOf(signedIn.accessToken))).toBe(customer.id);
    await expect(login({ ctx: fixture.as(), input: { email, password: PASSWORD } })).resolves.toBeDefined();
  });

  test("is refused while the provider has no proof of the address, and nobody is made", async () => {
    const email = fixture.newEmail();
    await expect(signInAs(provider, email, { unverified: "1" })).rejects.toMatchObject({
      code: "FORBIDDEN",
      reason: "email_not_verified",
    });
    const { db } = fixture.as();
    expect(await db.select().from(schema.customers).where(eq(schema.customers.email, email))).toEqual([]);
  });

  test("does not take a code for the second time, nor one that was made up", async () => {
    const email = fixture.newEmail();
    const one = await start(provider);
    const answer = await consent(one.url, email);
    await finish(provider, answer, one.binding);
    await expect(finish(provider, answer, one.binding)).rejects.toMatchObject({ reason: "invalid_state" });
    const two = await start(provider);
    const madeUp = new URLSearchParams({ code: "made-up", state: new URL(two.url).searchParams.get("state") ?? "" });
    await expect(finish(provider, madeUp, two.binding)).rejects.toMatchObject({
      code: "BAD_REQUEST",
      reason: "invalid_code",
    });
  });

  test("does not take a code that was issued to another sign-in, whose PKCE verifier differs", async () => {
    const [theirs, mine] = [await start(provider), await start(provider)];
    const stolen = await consent(theirs.url, fixture.newEmail());
    const injected = new URLSearchParams({
      code: stolen.get("code") ?? "",
      state: new URL(mine.url).searchParams.get("state") ?? "",
    });
    await expect(finish(provider, injected, mine.binding)).rejects.toMatchObject({ reason: "invalid_code" });
  });

  test("says so when the provider fails or takes too long, and the next try works", async () => {
    const email = fixture.newEmail();
    const expected = { error: "provider_failed", hang: "provider_timeout" } as const;
    for (const fault of ["error", "hang"] as const) {
      const { url, binding } = await start(provider);
      const answer = await consent(url, email);
      standIns[provider].setFault(fault);
      await expect(finish(provider, answer, binding)).rejects.toMatchObject({ reason: expected[fault] });
      standIns[provider].setFault("none");
    }
    await expect(signInAs(provider, email)).resolves.toMatchObject({ isSignup: true });
  });

  test("makes one customer of a person who comes back twice at once", async () => {
    const email = fixture.newEmail();
    const both = await Promise.all([signInAs(provider, email), signInAs(provider, email)]);
    expect(both.filter((signedIn) => signedIn.isSignup)).toHaveLength(1);
    const [one, two] = await Promise.all(both.map(({ accessToken }) => customerOf(accessToken)));
    expect(one !== undefined && two !== undefined && idOf(one) === idOf(two)).toBe(true);
  });
});

describe("the state of a sign-in", () => {
  test("is good once, also when it comes back many times at once", async () => {
    const { url, binding } = await start("github");
    const answer = await consent(url, fixture.newEmail());
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => finish("github", answer, binding)));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });

  test("is not taken from another browser, and stays good for the one that started", async () => {
    const mine = await start("google");
    const theirs = await start("google");
    const answer = await consent(mine.url, fixture.newEmail());
    for (const binding of [theirs.binding, undefined, "made-up"]) {
      await expect(finish("google", answer, binding)).rejects.toMatchObject({
        code: "BAD_REQUEST",
        reason: "invalid_state",
        issues: [{ path: "state" }],
      });
    }
    await expect(finish("google", answer, undefined, program())).rejects.toMatchObject({ reason: "invalid_state" });
    await expect(finish("google", answer, mine.binding)).resolves.toMatchObject({ isSignup: true });
  });

  test("of a program cannot be finished in a browser that is lured to it, but by the program", async () => {
    const { url } = await start("google", program());
    const answer = await consent(url, fixture.newEmail());
    await expect(finish("google", answer, undefined, browser())).rejects.toMatchObject({ reason: "invalid_state" });
    await expect(finish("google", answer, undefined, program())).resolves.toMatchObject({ isSignup: true });
  });

  test("is of one provider, ends after ten minutes, and is then forgotten", async () => {
    const foreign = await start("google");
    const answer = await consent(foreign.url, fixture.newEmail());
    await expect(finish("github", answer, foreign.binding)).rejects.toMatchObject({ reason: "invalid_state" });
    fixture.clock.advanceMs(10 * 60_000);
    await expect(finish("google", answer, foreign.binding)).rejects.toMatchObject({ reason: "invalid_state" });
    expect(await sweepOauthStates({ ctx: fixture.as(SYSTEM) })).toBeGreaterThan(0);
    expect(await fixture.as().db.select().from(schema.oauthStates)).toEqual([]);
  });

  test("stands in no table in the clear, nor does what the provider must be shown", async () => {
    const { url, binding } = await start("google");
    const state = new URL(url).searchParams.get("state") ?? "";
    const rows = JSON.stringify(await fixture.as().db.select().from(schema.oauthStates));
    expect(state.length).toBeGreaterThanOrEqual(43);
    for (const secret of [state, binding]) expect(rows).not.toContain(secret);
  });
});

describe("a page to return to", () => {
  test("must be one of ours", async () => {
    for (const page of ["https://evil.example/", "https://app.example.test.evil.example/", "http://localhost:3000/"]) {
      await expect(start("google", browser(), page)).rejects.toMatchObject({
        code: "BAD_REQUEST",
        issues: [{ path: "redirectTo" }],
      });
    }
  });

  test("gets the code and the state, or why there is none", async () => {
    const { url } = await start("google", browser(), `${PAGE}?next=%2Fkeys`);
    const answer = await consent(url, fixture.newEmail());
    const [code, state] = [answer.get("code") ?? "", answer.get("state") ?? ""];
    const goOn = (input: { state: string; code?: string; error?: string }) =>
      returnFromProvider({ ctx: fixture.as(), input: { provider: "google", ...input } });
    expect(await goOn({ state, code })).toBe(`${PAGE}?next=%2Fkeys&provider=google&code=${code}&state=${state}`);
    expect(await goOn({ state, error: "access_denied" })).toBe(
      `${PAGE}?next=%2Fkeys&provider=google&error=access_denied`,
    );
    const lost = new URL(await goOn({ state: "unknown", code }));
    expect(lost.origin).toBe(fixture.settings.publicWebUrl);
    expect(lost.searchParams.has("code")).toBe(false);
  });

  test("hears of somebody who said no at the provider", async () => {
    const { url } = await start("github");
    const answer = await consent(url, fixture.newEmail(), { deny: "1" });
    expect(answer.get("error")).toBe("access_denied");
    expect(answer.has("code")).toBe(false);
  });
});

describe("an address that is known here", () => {
  test("and was never proven is the customer's who proves it through the provider", async () => {
    const email = fixture.newEmail();
    await sendVerificationEmail({ ctx: fixture.as(), input: { email } });
    const signedIn = await signInAs("google", email);
    expect(signedIn.isSignup).toBe(true);
    const me = await readMe({ ctx: fixture.as(await customerOf(signedIn.accessToken)) });
    expect(me).toMatchObject({ customer: { email, status: "verified" } });
  });

  test("and has a password although it was never proven is not linked: whoever set that would share the account", async () => {
    const { email, customer } = await signUp(fixture);
    const { db } = fixture.as();
    await db.update(schema.customers).set({ status: "unverified" }).where(eq(schema.customers.id, customer.id));
    await expect(signInAs("google", email)).rejects.toMatchObject({
      code: "CONFLICT",
      reason: "email_not_verified_here",
    });
    expect(await db.select().from(schema.oauthIdentities).where(eq(schema.oauthIdentities.email, email))).toEqual([]);
  });

  test("and belongs to a banned customer signs nobody in, by address or by account", async () => {
    const email = fixture.newEmail();
    const { accessToken } = await signInAs("github", email);
    const customerId = idOf(await customerOf(accessToken));
    const { db } = fixture.as();
    await db.update(schema.customers).set({ status: "banned" }).where(eq(schema.customers.id, customerId));
    for (const provider of ["github", "google"] as const) {
      await expect(signInAs(provider, email)).rejects.toMatchObject({ code: "FORBIDDEN", reason: "customer_banned" });
    }
  });

  test("and was a deleted customer's makes a new customer", async () => {
    const email = fixture.newEmail();
    const before = idOf(await customerOf((await signInAs("github", email)).accessToken));
    const { db } = fixture.as();
    await db
      .update(schema.customers)
      .set({ status: "deleted", deletedAt: fixture.clock.now() })
      .where(eq(schema.customers.id, before));
    const again = await signInAs("github", email);
    expect(again.isSignup).toBe(true);
    expect(idOf(await customerOf(again.accessToken))).not.toBe(before);
  });
});

describe("linking", () => {
  test("adds a way to sign in, whatever the address there, and is listed", async () => {
    const { customer } = await signUp(fixture);
    const actor = customerActor(customer.id);
    const elsewhere = fixture.newEmail();
    await link("github", actor, elsewhere);
    expect(await listOauth({ ctx: fixture.as(actor) })).toMatchObject({
      items: [{ provider: "github", email: elsewhere }],
      hasPassword: true,
    });
    const signedIn = await signInAs("github", elsewhere);
    expect(idOf(await customerOf(signedIn.accessToken))).toBe(customer.id);
    await expect(link("github", actor, elsewhere)).resolves.toMatchObject({ isSignup: false });
  });

  test("takes no account that somebody else signs in with, and no second one of a provider", async () => {
    const taken = fixture.newEmail();
    await signInAs("google", taken);
    const { customer } = await signUp(fixture);
    const actor = customerActor(customer.id);
    await expect(link("google", actor, taken)).rejects.toMatchObject({ code: "CONFLICT", reason: "identity_taken" });
    await link("google", actor, fixture.newEmail());
    await expect(link("google", actor, fixture.newEmail())).rejects.toMatchObject({
      code: "CONFLICT",
      reason: "provider_linked",
    });
    await expect(linkOauth({ ctx: browser(), input: { provider: "google" } })).rejects.toMatchObject({
      code: "UNAUTHORIZED",
    });
  });

  test("cannot be slipped to somebody else: the one who started it has to finish it", async () => {
    const { customer } = await signUp(fixture);
    const attacker = customerActor(customer.id);
    const { url } = await linkOauth({ ctx: browser(attacker), input: { provider: "google", redirectTo: PAGE } });
    const victims = await consent(url, fixture.newEmail());
    await expect(finish("google", victims, undefined)).rejects.toMatchObject({ reason: "invalid_state" });
    expect((await listOauth({ ctx: fixture.as(attacker) })).items).toEqual([]);
  });
});

describe("unlinking", () => {
  test("leaves the last way to sign in, also when two are taken away at once", async () => {
    const email = fixture.newEmail();
    const actor = await customerOf((await signInAs("google", email)).accessToken);
    await link("github", actor, email);
    const unlink = (provider: OauthProvider) => unlinkOauth({ ctx: fixture.as(actor), input: { provider } });
    const results = await Promise.allSettled([unlink("google"), unlink("github")]);
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    const { items } = await listOauth({ ctx: fixture.as(actor) });
    expect(items).toHaveLength(1);
    const [left] = items;
    await expect(unlink(left?.provider ?? "google")).rejects.toMatchObject({
      code: "CONFLICT",
      reason: "last_login_method",
    });
  });

  test("is possible with a password left, and once", async () => {
    const { email, customer } = await signUp(fixture);
    await signInAs("github", email);
    const ctx = fixture.as(customerActor(customer.id));
    await unlinkOauth({ ctx, input: { provider: "github" } });
    await expect(unlinkOauth({ ctx, input: { provider: "github" } })).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await listOauth({ ctx })).toEqual({ items: [], hasPassword: true });
  });
});

describe("a provider", () => {
  test("whose ID token is signed by somebody else is not believed", async () => {
    const { url, binding } = await start("google");
    const answer = await consent(url, fixture.newEmail());
    standIns.google.setFault("forged token");
    await expect(finish("google", answer, binding)).rejects.toMatchObject({ reason: "provider_failed" });
  });

  test("that is not set up is as if it were not there", async () => {
    const none = createOauthProviders({
      registrations: {},
      publicApiUrl: fixture.settings.publicApiUrl,
      returnOrigins: [],
      allowsLocalhost: false,
    });
    expect(none).toBeInstanceOf(OauthProviders);
    await expect(start("google", { ...browser(), oauthProviders: none }, undefined)).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("that was away when a process first asked is asked again", async () => {
    const fresh = { ...browser(), oauthProviders: connect() };
    standIns.google.setFault("hang");
    await expect(start("google", fresh)).rejects.toMatchObject({ reason: "provider_timeout" });
    standIns.google.setFault("none");
    await expect(start("google", fresh)).resolves.toMatchObject({ url: expect.stringContaining(standIns.google.url) });
  });
});
