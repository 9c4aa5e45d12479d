import type { LeakReported, reportLeakedInput } from "@tollgate/contracts";
import { keysRevoked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import type { KeyRow } from "./internal.ts";
import { keyEventData, statusAt } from "./internal.ts";
import { hashKey, hasValidChecksum } from "./keyFormat.ts";

const { customers, keys, projectMembers, projects } = schema;

/**
 * Takes a secret scanner's report: a live key that could be used, now or once it is unblocked, is revoked at once and the
 * owners of its project are told. Whoever reports has the key, so nothing more is asked of them, and they learn nothing:
 * the answer is the same for every text.
 */
export async function reportLeakedKey({ ctx, input }: Verb<z.output<typeof reportLeakedInput>>): Promise<LeakReported> {
  // A made-up text has no right checksum: a flood of them asks nothing of the database.
  if (hasValidChecksum(input.key)) {
    const hash = hashKey(input.key);
    await withTransaction(ctx, (ctx) => revokeLeaked(ctx, hash, input.url), { isIdempotent: true });
  }
  return { received: true };
}

async function revokeLeaked(ctx: ServiceContext, hash: string, url: string | undefined): Promise<void> {
  const [found] = await ctx.db
    .select({ key: keys, projectName: projects.name })
    .from(keys)
    .innerJoin(projects, eq(projects.id, keys.projectId))
    .where(and(eq(keys.hash, hash), isNull(projects.deletedAt)));
  if (found === undefined || found.key.mode !== "live") return;
  const { key, projectName } = found;
  const status = statusAt(key, ctx.clock.nowMs());
  if (status !== "active" && status !== "blocked") return;
  const now = ctx.clock.now();
  await ctx.db.update(keys).set({ status: "revoked", revokedAt: now, updatedAt: now }).where(eq(keys.id, key.id));
  await writeAudit(ctx, {
    action: "keys.reportLeaked",
    subject: key.id,
    before: { status },
    after: { status: "revoked", ...(url === undefined ? {} : { url }) },
  });
  await appendEvent(ctx, keysRevoked, keyEventData(key));
  await tellOwners(ctx, key, projectName);
}

async function tellOwners(ctx: ServiceContext, key: KeyRow, projectName: string): Promise<void> {
  const owners = await ctx.db
    .select({ id: customers.id, email: customers.email })
    .from(projectMembers)
    .innerJoin(customers, eq(customers.id, projectMembers.customerId))
    .where(
      and(
        eq(projectMembers.projectId, key.projectId),
        eq(projectMembers.role, "owner"),
        eq(customers.status, "verified"),
      ),
    );
  for (const owner of owners) {
    await queueEmail(ctx, {
      template: "keyLeaked",
      to: owner.email,
      data: { keyName: key.name, keyStart: key.start, projectName, dashboardUrl: ctx.settings.publicWebUrl },
      idempotencyKey: `key-leaked:${key.id}:${owner.id}`,
    });
  }
}
