import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { oneSpelling } from "./oneSpelling.ts";

const paths = async (files: Record<string, string>) => (await oneSpelling.check(treeOf(files))).map(({ path }) => path);

test("a domain, a mechanism and a layer's own files pass", async () => {
  const files = {
    "packages/contracts/src/keys.ts": 'export const keysRevoked = defineEvent("keys.revoked", schema);',
    "packages/contracts/src/primitives.ts": "",
    "packages/db/src/schema/budgets.ts": "",
    "packages/services/src/keys/revokeKey.ts": 'await writeAudit(ctx, { action: "keys.revoke", subject: id });',
    "packages/services/src/keys/insertKey.ts": "await writeAudit(ctx, { action, subject: id });",
    "packages/services/src/paging.ts": "",
    "packages/routers/src/keys.ts": "",
    "packages/routers/src/appRouter.ts": "export const appRouter = router({ keys: keysRouter });",
    "apps/workers/src/metering/createFoldHandler.ts": "",
    "apps/workers/src/relay/outboxRelay.ts": "",
  };
  expect(await paths(files)).toEqual([]);
});

test("a second spelling of a domain is refused in every layer", async () => {
  const files = {
    "packages/contracts/src/apiKeys.ts": "",
    "packages/db/src/schema/api-keys.ts": "",
    "packages/services/src/key/revokeKey.ts": "",
    "packages/routers/src/apikey.ts": "",
    "apps/workers/src/keyExpiry/sweep.ts": "",
  };
  expect(await paths(files)).toEqual(Object.keys(files).sort());
});

test.each([
  'defineEvent("apiKeys.revoked", schema);',
  'defineJob({ name: "mail.send", queue: "email" });',
  'writeAudit(ctx, { action: "revokeKey", subject: id });',
])("events, jobs and audited actions begin with their domain: %s", async (source) => {
  expect(await paths({ "packages/contracts/src/keys.ts": source })).toEqual(["packages/contracts/src/keys.ts"]);
});

test("in the router tree a domain stands under its own name", async () => {
  const findings = await oneSpelling.check(
    treeOf({
      "packages/routers/src/keys.ts": "",
      "packages/routers/src/appRouter.ts": "export const appRouter = router({\n  apiKeys: keysRouter,\n});",
    }),
  );
  expect(findings).toEqual([
    { path: "packages/routers/src/appRouter.ts", line: 2, message: "apiKeys must be apiKeysRouter of ./apiKeys.ts" },
  ]);
});
