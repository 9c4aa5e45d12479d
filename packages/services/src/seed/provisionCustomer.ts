import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, forbidden } from "@tollgate/kernel";
import { and, asc, eq, isNull } from "drizzle-orm";
import type { ServiceContext, Verb } from "../context.ts";
import { ensureCustomer } from "../customers/ensureCustomer.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { holdsEmail } from "../customers/internal.ts";
import { setVerified } from "../customers/markVerified.ts";
import { assertUncommonPassword, hashPassword, savePassword, verifyPassword } from "../customers/passwords.ts";
import { DEFAULT_PROJECT_NAME, insertBillingAccount, insertProject } from "../projects/insertProject.ts";

const { billingAccountAdmins, customers, passwords, projectMembers, projects } = schema;

export interface Provision {
  /** Trimmed and lower-cased. */
  readonly email: string;
  readonly password: string;
  readonly isOperator: boolean;
  /** Of a billing account that is made; the free one without it. */
  readonly tierId?: string;
}

export interface ProvisionedCustomer {
  readonly customerId: string;
  readonly projectId: string;
  readonly billingAccountId: string;
}

/**
 * Sees to it that a person can sign in with a password and has a project and a billing account: the operator and the demo
 * of a new deployment, who nobody sends a code to. What is there already stays, so it may run at every start.
 * @throws TollgateError FORBIDDEN for anyone but an internal task; CONFLICT `customer_banned`; BAD_REQUEST `common_password`
 */
export async function provisionCustomer({ ctx, input }: Verb<Provision>): Promise<ProvisionedCustomer> {
  if (ctx.actor.kind !== "system") throw forbidden("Only an internal task may do this");
  assertUncommonPassword(input.password, input.email);
  const newHash = await hashUnlessPresent(ctx, input);
  return withTransaction(
    ctx,
    async (ctx) => {
      const found = await ensureCustomer(ctx, input);
      if (found.status === "banned") throw conflict("The customer is banned", { reason: "customer_banned" });
      const customer = found.status === "unverified" ? await setVerified(ctx, found) : found;
      if (newHash !== undefined) await changePassword(ctx, customer, newHash);
      if (input.isOperator && !customer.isOperator) await makeOperator(ctx, customer);
      return { customerId: customer.id, ...(await ensureProject(ctx, customer.id, input.tierId)) };
    },
    { isIdempotent: true },
  );
}

/** The hash to save; undefined if the present password is the one that is wanted. */
async function hashUnlessPresent(ctx: ServiceContext, input: Provision): Promise<string | undefined> {
  const [row] = await ctx.db
    .select({ hash: passwords.hash })
    .from(passwords)
    .innerJoin(customers, eq(customers.id, passwords.customerId))
    .where(holdsEmail(input.email));
  return (await verifyPassword(row?.hash, input.password)) ? undefined : hashPassword(input.password);
}

async function changePassword(ctx: ServiceContext, customer: CustomerRow, hash: string): Promise<void> {
  await savePassword(ctx, customer.id, hash);
  await writeAudit(ctx, { action: "seed.setPassword", subject: customer.id });
}

async function makeOperator(ctx: ServiceContext, customer: CustomerRow): Promise<void> {
  const change = { isOperator: true, updatedAt: ctx.clock.now() };
  await ctx.db.update(customers).set(change).where(eq(customers.id, customer.id));
  await writeAudit(ctx, {
    action: "seed.makeOperator",
    subject: customer.id,
    before: { isOperator: false },
    after: { isOperator: true },
  });
}

async function ensureProject(
  ctx: ServiceContext,
  customerId: string,
  tierId: string | undefined,
): Promise<{ readonly projectId: string; readonly billingAccountId: string }> {
  const [own] = await ctx.db
    .select({ projectId: projects.id, billingAccountId: projects.billingAccountId })
    .from(projects)
    .innerJoin(projectMembers, eq(projectMembers.projectId, projects.id))
    .innerJoin(billingAccountAdmins, eq(billingAccountAdmins.billingAccountId, projects.billingAccountId))
    .where(
      and(
        eq(projectMembers.customerId, customerId),
        eq(projectMembers.role, "owner"),
        eq(billingAccountAdmins.customerId, customerId),
        isNull(projects.deletedAt),
      ),
    )
    .orderBy(asc(projects.createdAt), asc(projects.id))
    .limit(1);
  if (own !== undefined) return own;
  const account = { name: DEFAULT_PROJECT_NAME, adminId: customerId, ...(tierId === undefined ? {} : { tierId }) };
  const billingAccountId = await insertBillingAccount(ctx, account);
  const project = await insertProject(ctx, { name: DEFAULT_PROJECT_NAME, billingAccountId, ownerId: customerId });
  return { projectId: project.id, billingAccountId };
}
