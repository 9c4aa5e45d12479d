import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { guardedMutations } from "./guardedMutations.ts";

const ROUTER = `
import { revokeKey } from "@tollgate/services/keys";
export const keysRouter = router({
  revoke: customerProcedure.input(keyIdInput).mutation(({ ctx, input }) => revokeKey({ ctx, input })),
  list: customerProcedure.query(({ ctx }) => []),
});`;
const INDEX = 'export * from "./revokeKey.ts";';
const PERMISSIONS = "export function requireMember(ctx) {}";

/** A verb with its duties one call further down, in a function that is handed over, and in another file. */
const GUARDED = `
import { appendEvent, withTransaction, writeAudit } from "@tollgate/db";
import { requireKey } from "./internal.ts";
export async function revokeKey({ ctx, input }) { return withTransaction(ctx, revoke); }
async function revoke(ctx) { await requireKey(ctx); await writeAudit(ctx, {}); await announce(ctx); }
const announce = (ctx) => appendEvent(ctx, keysRevoked, {});`;
const INTERNAL = `
import { requireMember } from "../permissions.ts";
export const requireKey = (ctx) => requireMember(ctx);`;

const check = async (changes: Record<string, string> = {}, exceptions = {}): Promise<string[]> => {
  const files = {
    "packages/routers/src/keys.ts": ROUTER,
    "packages/services/src/permissions.ts": PERMISSIONS,
    "packages/services/src/keys/index.ts": INDEX,
    "packages/services/src/keys/revokeKey.ts": GUARDED,
    "packages/services/src/keys/internal.ts": INTERNAL,
    ...changes,
  };
  return (await guardedMutations(exceptions).check(treeOf(files))).map(({ message }) => message);
};
const withVerb = (text: string) => ({ "packages/services/src/keys/revokeKey.ts": text });

test("a verb that asks, audits and announces passes, however deep it does so", async () => {
  expect(await check()).toEqual([]);
});

test("a verb that lacks the check, the audit row or the event is named with what it lacks", async () => {
  expect(await check({ "packages/services/src/keys/internal.ts": "export const requireKey = (ctx) => ctx;" })).toEqual([
    "keys.revoke (revokeKey) has no permission",
  ]);
  expect(await check(withVerb(GUARDED.replace("await writeAudit(ctx, {});", "")))).toEqual([
    "keys.revoke (revokeKey) has no audit",
  ]);
  expect(await check(withVerb("export async function revokeKey() {}"))).toEqual([
    "keys.revoke (revokeKey) has no permission and no audit and no event",
  ]);
});

test("what is imported and not mentioned by the verb does not count", async () => {
  const text = GUARDED.replace("await announce(ctx);", "");
  expect(await check(withVerb(text))).toEqual(["keys.revoke (revokeKey) has no event"]);
});

test("an exception excuses exactly what it names, and must be needed", async () => {
  const text = GUARDED.replace("await announce(ctx);", "");
  expect(await check(withVerb(text), { "keys.revoke": { event: "a reason" } })).toEqual([]);
  expect(await check({}, { "keys.revoke": { event: "a reason" } })).toEqual([
    "keys.revoke needs no exception for event",
  ]);
  expect(await check({}, { "keys.gone": { event: "a reason" } })).toEqual([
    "keys.gone has an exception and is no mutation",
  ]);
});

test("a mutation that does its work in the router, or with two verbs, is refused", async () => {
  const inline = ROUTER.replace("revokeKey({ ctx, input })", "ctx.db.delete(keys)");
  expect(await check({ "packages/routers/src/keys.ts": inline })).toEqual([
    "keys.revoke must call one verb of the services",
  ]);
  const unknown = ROUTER.replaceAll("revokeKey", "endKey");
  expect(await check({ "packages/routers/src/keys.ts": unknown })).toEqual([
    "keys.revoke calls endKey, which packages/services/src/keys/index.ts does not export",
  ]);
});

test("a router in a router is looked into, and its procedures have their full names", async () => {
  const nested = ROUTER.replace("router({", "router({ leaked: router({").replace(/\}\);$/, "}) });");
  const files = { "packages/routers/src/keys.ts": nested, ...withVerb(GUARDED.replace("await announce(ctx);", "")) };
  expect(await check(files)).toEqual(["keys.leaked.revoke (revokeKey) has no event"]);
});
