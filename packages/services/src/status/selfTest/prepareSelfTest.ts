import { publishApiInput } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { conflict, toMicros } from "@tollgate/kernel";
import { and, eq, isNull } from "drizzle-orm";
import { creditWallet } from "../../balance/creditWallet.ts";
import { walletBudgetId } from "../../budgets/budgetIds.ts";
import { findApi } from "../../catalog/internal.ts";
import { publishApi } from "../../catalog/publishApi.ts";
import type { ServiceContext } from "../../context.ts";
import { ensureCustomer } from "../../customers/ensureCustomer.ts";
import { INTERNAL_DOMAIN } from "../../customers/internalAddress.ts";
import { setVerified } from "../../customers/markVerified.ts";
import { revokeProjectKeys } from "../../keys/revokeProjectKeys.ts";
import { requireService } from "../../permissions.ts";
import { insertBillingAccount, insertProject } from "../../projects/insertProject.ts";

const { apis, billingAccounts, budgets, projectMembers, projects } = schema;

const NAME = "Self-test";
export const HOST_EMAIL = `host@${INTERNAL_DOMAIN}`;
export const SELF_TEST_API = "tollgate-self-test";
export const SELF_TEST_ENDPOINT = "ping";
/** Paid, and so little that the credit below lasts for decades. */
export const SELF_TEST_PRICE_MICROS = 1n;
/** Above what accounts are warned at. */
const CREDIT_MICROS = 10_000_000n;
const CREDIT_BELOW_MICROS = 5_000_000n;

/** Where strangers of the self-test walk: one project that lasts, so that no billing account is made for each of them. */
export interface SelfTestGround {
  readonly projectId: string;
  readonly billingAccountId: string;
}

/**
 * Makes what a walk needs and is there from then on: a project with a paid-up account, and a hidden API whose one endpoint
 * is the control plane's own sign of life. Keys that an earlier walk has left are revoked.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker; CONFLICT when somebody else has an API of the name
 */
export async function prepareSelfTest({ ctx }: { readonly ctx: ServiceContext }): Promise<SelfTestGround> {
  requireService(ctx);
  const ground = await withTransaction(
    ctx,
    async (ctx) => {
      const ground = await ensureGround(ctx);
      await revokeProjectKeys(ctx, ground.projectId);
      return ground;
    },
    { isIdempotent: true },
  );
  await withTransaction(ctx, publishHidden, { isIdempotent: true });
  await withTransaction(ctx, (ctx) => creditIfLow(ctx, ground.billingAccountId), { isIdempotent: true });
  return ground;
}

async function ensureGround(ctx: ServiceContext): Promise<SelfTestGround> {
  const host = await ensureCustomer(ctx, { email: HOST_EMAIL, name: NAME });
  const found = await findGround(ctx, host.id);
  if (found !== undefined) return found;
  if (host.status === "unverified") await setVerified(ctx, host);
  const billingAccountId = await insertBillingAccount(ctx, { name: NAME, adminId: host.id });
  await ctx.db.update(billingAccounts).set({ isInternal: true }).where(eq(billingAccounts.id, billingAccountId));
  const { id: projectId } = await insertProject(ctx, { name: NAME, billingAccountId, ownerId: host.id });
  return { projectId, billingAccountId };
}

async function findGround(ctx: ServiceContext, hostId: string): Promise<SelfTestGround | undefined> {
  const [row] = await ctx.db
    .select({ projectId: projects.id, billingAccountId: projects.billingAccountId })
    .from(projectMembers)
    .innerJoin(projects, eq(projects.id, projectMembers.projectId))
    .innerJoin(billingAccounts, eq(billingAccounts.id, projects.billingAccountId))
    .where(and(eq(projectMembers.customerId, hostId), isNull(projects.deletedAt), eq(billingAccounts.isInternal, true)))
    .limit(1);
  return row;
}

/** Published and marked in one transaction: nobody ever sees it in the catalogue. */
async function publishHidden(ctx: ServiceContext): Promise<void> {
  const present = await findApi(ctx, SELF_TEST_API);
  if (present !== undefined && !present.isInternal) {
    throw conflict(`Somebody else has published an API named ${SELF_TEST_API}`, { reason: "api_name_taken" });
  }
  const operation = { responses: { 200: { description: "It is there" } } };
  const input = publishApiInput.parse({
    name: SELF_TEST_API,
    displayName: NAME,
    description: "What the self-test calls.",
    category: "internal",
    openapi: {
      openapi: "3.1.0",
      info: { title: NAME, version: "1" },
      paths: { "/healthz": { get: operation } },
    },
    endpoints: [
      {
        name: SELF_TEST_ENDPOINT,
        method: "GET",
        path: "/healthz",
        priceMicros: SELF_TEST_PRICE_MICROS,
        freePerMonth: 0,
      },
    ],
    upstreamUrls: [ctx.settings.publicApiUrl],
  });
  const { id } = await publishApi({ ctx, input });
  if (present === undefined) await ctx.db.update(apis).set({ isInternal: true }).where(eq(apis.id, id));
}

async function creditIfLow(ctx: ServiceContext, billingAccountId: string): Promise<void> {
  const [wallet] = await ctx.db
    .select()
    .from(budgets)
    .where(eq(budgets.id, walletBudgetId(billingAccountId)));
  if (wallet !== undefined && wallet.limitAmount - wallet.used >= CREDIT_BELOW_MICROS) return;
  await creditWallet(ctx, {
    billingAccountId,
    micros: toMicros(CREDIT_MICROS),
    source: "promo",
    // A day has one, however often it is looked at.
    idempotencyKey: `self-test:${ctx.clock.now().toISOString().slice(0, 10)}`,
    reference: NAME,
    visible: false,
  });
}
