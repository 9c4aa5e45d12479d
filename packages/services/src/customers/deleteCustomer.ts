import type { CustomerDeletion, deleteCustomerInput } from "@tollgate/contracts";
import { customersDeleted, eraseCustomerJob, projectsMemberLeft } from "@tollgate/contracts";
import { appendEvent, appendJob, schema, withTransaction, writeAudit } from "@tollgate/db";
import { isAdmin, notFound } from "@tollgate/kernel";
import { and, eq, gt, isNull, notInArray } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { cancelEmails } from "../emails/cancelEmails.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { revokeProjectKeys } from "../keys/revokeProjectKeys.ts";
import { requireCustomer } from "../permissions.ts";
import { ERASURE_STEPS } from "./erasure/steps.ts";
import type { CustomerRow } from "./internal.ts";
import { findCustomer } from "./internal.ts";
import { findOwnedAlone } from "./ownedAlone.ts";
import { endAllSessions } from "./sessions.ts";

const ERASURE_DELAY_MS = 30 * 24 * 3_600_000;
const { customers, erasureSteps, erasures, oauthIdentities, oauthStates, projectMembers, verifications } = schema;

/**
 * Deletes a customer, for themselves and for operators. At once every session ends, the keys of projects that only they
 * own are revoked, they leave the other projects, and what was to be mailed is not. The personal data is erased 30 days
 * later, or with `force` now. Deleting again changes nothing, except that `force` brings the erasure forward.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND, also for everybody else's id
 */
export async function deleteCustomer({
  ctx,
  input,
}: Verb<z.output<typeof deleteCustomerInput>>): Promise<CustomerDeletion> {
  const actor = requireCustomer(ctx);
  const customerId = input.id ?? actor.customerId;
  if (customerId !== actor.customerId && !isAdmin(actor)) throw notFound("customer");
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await findCustomer(ctx, { id: customerId });
      if (customer === undefined) throw notFound("customer");
      return markDeleted(ctx, customer, input);
    },
    { isIdempotent: true },
  );
}

/** Deletes a customer, inside the transaction of a verb that has asked for permission. */
export async function markDeleted(
  ctx: ServiceContext,
  customer: CustomerRow,
  { force }: { readonly force: boolean },
): Promise<CustomerDeletion> {
  const customerId = customer.id;
  const now = ctx.clock.now();
  const erasedFrom = force ? now : new Date(now.getTime() + ERASURE_DELAY_MS);
  if (customer.status === "deleted") return bringForward(ctx, customerId, force);
  await ctx.db
    .update(customers)
    .set({ status: "deleted", deletedAt: now, updatedAt: now })
    .where(eq(customers.id, customerId));
  await endAllSessions(ctx, customerId);
  const ownedAlone = await findOwnedAlone(ctx, customerId);
  const keyIds: string[] = [];
  for (const projectId of ownedAlone) {
    for (const key of await revokeProjectKeys(ctx, projectId)) keyIds.push(key.id);
  }
  await leaveOtherProjects(ctx, customerId, ownedAlone);
  await ctx.db.delete(verifications).where(eq(verifications.customerId, customerId));
  // The accounts at other providers are free for a new customer, as the address is.
  await ctx.db.delete(oauthIdentities).where(eq(oauthIdentities.customerId, customerId));
  await ctx.db.delete(oauthStates).where(eq(oauthStates.customerId, customerId));
  await cancelEmails(ctx, customer.email);
  await orderErasure(ctx, customerId, erasedFrom, force);
  // After a forced deletion there is no address any more that a mail could go to.
  if (!force && customer.status !== "unverified") {
    const erasedOn = erasedFrom.toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
    const idempotencyKey = `account-deleted:${customerId}`;
    await queueEmail(ctx, { template: "accountDeleted", to: customer.email, data: { erasedOn }, idempotencyKey });
  }
  await writeAudit(ctx, {
    action: "customers.delete",
    subject: customerId,
    before: { status: customer.status },
    after: { status: "deleted", erasedFrom: erasedFrom.toISOString(), keyIds },
  });
  await appendEvent(ctx, customersDeleted, { customerId, erasedFrom: erasedFrom.toISOString() });
  return { customerId, erasedFrom };
}

/** A project that has other owners goes on without them. */
async function leaveOtherProjects(
  ctx: ServiceContext,
  customerId: string,
  ownedAlone: readonly string[],
): Promise<void> {
  const left = await ctx.db
    .delete(projectMembers)
    .where(
      and(
        eq(projectMembers.customerId, customerId),
        ownedAlone.length === 0 ? undefined : notInArray(projectMembers.projectId, [...ownedAlone]),
      ),
    )
    .returning({ projectId: projectMembers.projectId, role: projectMembers.role });
  for (const { projectId, role } of left) {
    await writeAudit(ctx, { action: "projects.leave", subject: projectId, before: { customerId, role } });
    await appendEvent(ctx, projectsMemberLeft, { projectId, customerId });
  }
}

async function orderErasure(ctx: ServiceContext, customerId: string, dueAt: Date, isDue: boolean): Promise<void> {
  await ctx.db.insert(erasures).values({ customerId, createdAt: ctx.clock.now(), dueAt });
  await ctx.db
    .insert(erasureSteps)
    .values(ERASURE_STEPS.map((step) => ({ customerId, step: step.name, status: "pending" as const })));
  if (isDue) await appendJob(ctx, eraseCustomerJob, { customerId });
}

/** The customer is deleted already; their data may be erased earlier than was said then. */
async function bringForward(ctx: ServiceContext, customerId: string, force: boolean): Promise<CustomerDeletion> {
  const now = ctx.clock.now();
  const [erasure] = await ctx.db.select().from(erasures).where(eq(erasures.customerId, customerId));
  if (erasure === undefined) throw new Error(`The deleted customer ${customerId} has no erasure`);
  if (!force) return { customerId, erasedFrom: erasure.dueAt };
  const moved = await ctx.db
    .update(erasures)
    .set({ dueAt: now })
    .where(and(eq(erasures.customerId, customerId), gt(erasures.dueAt, now), isNull(erasures.finishedAt)))
    .returning({ customerId: erasures.customerId });
  if (moved.length === 0) return { customerId, erasedFrom: erasure.dueAt };
  await appendJob(ctx, eraseCustomerJob, { customerId });
  await writeAudit(ctx, {
    action: "customers.delete",
    subject: customerId,
    before: { erasedFrom: erasure.dueAt.toISOString() },
    after: { erasedFrom: now.toISOString() },
  });
  return { customerId, erasedFrom: now };
}
