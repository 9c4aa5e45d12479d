import { schema } from "@tollgate/db";
import { and, asc, eq, or, sql } from "drizzle-orm";
import { walletBudgetId } from "../budgets/budgetIds.ts";
import type { ServiceContext } from "../context.ts";
import type { CustomerRow } from "./internal.ts";
import { toCustomer } from "./internal.ts";

/** Everything that is held about one person (GDPR, articles 15 and 20), by what it is. Secrets and hashes are left out. */
export type PersonalData = Readonly<Record<string, unknown>>;

/**
 * Collects it, inside a transaction, so that all of it is of one instant. Of projects and billing accounts that others
 * share, it is what this person put there or may see.
 */
export async function collectPersonalData(ctx: ServiceContext, customer: CustomerRow): Promise<PersonalData> {
  return {
    format: "tollgate.export.1",
    createdAt: ctx.clock.now(),
    customer: toCustomer(customer),
    sessions: await collectSessions(ctx, customer),
    identities: await collectIdentities(ctx, customer),
    invites: await ctx.db
      .select()
      .from(schema.projectInvites)
      .where(or(eq(schema.projectInvites.email, customer.email), eq(schema.projectInvites.invitedBy, customer.id))),
    projects: await collectProjects(ctx, customer),
    billingAccounts: await collectAccounts(ctx, customer),
    emails: await collectEmails(ctx, customer),
    visits: await ctx.db.select().from(schema.visits).where(eq(schema.visits.email, customer.email)),
    waitlist: await ctx.db.select().from(schema.waitlist).where(eq(schema.waitlist.email, customer.email)),
    suppressions: await ctx.db
      .select()
      .from(schema.emailSuppressions)
      .where(eq(schema.emailSuppressions.email, customer.email)),
    audit: await collectAudit(ctx, customer),
  };
}

function collectSessions(ctx: ServiceContext, customer: CustomerRow): Promise<object[]> {
  const { sessions } = schema;
  return ctx.db
    .select({
      id: sessions.id,
      userAgent: sessions.userAgent,
      ip: sessions.ip,
      createdAt: sessions.createdAt,
      lastUsedAt: sessions.lastUsedAt,
      expiresAt: sessions.expiresAt,
      revokedAt: sessions.revokedAt,
    })
    .from(sessions)
    .where(eq(sessions.customerId, customer.id))
    .orderBy(asc(sessions.createdAt), asc(sessions.id));
}

/** Accounts at other providers that they sign in with. */
function collectIdentities(ctx: ServiceContext, customer: CustomerRow): Promise<object[]> {
  const { oauthIdentities } = schema;
  return ctx.db
    .select()
    .from(oauthIdentities)
    .where(eq(oauthIdentities.customerId, customer.id))
    .orderBy(asc(oauthIdentities.provider));
}

async function collectProjects(ctx: ServiceContext, customer: CustomerRow): Promise<object[]> {
  const { billingAccounts, keys, projectMembers, projects, usageHourly } = schema;
  const memberships = await ctx.db
    .select({ project: projects, role: projectMembers.role, joinedAt: projectMembers.createdAt })
    .from(projectMembers)
    .innerJoin(projects, eq(projects.id, projectMembers.projectId))
    .where(eq(projectMembers.customerId, customer.id))
    .orderBy(asc(projectMembers.createdAt), asc(projects.id));
  const collected: object[] = [];
  for (const { project, role, joinedAt } of memberships) {
    const month = sql<string>`cast(cast(date_trunc('month', ${usageHourly.hour} at time zone ${billingAccounts.timeZone}) as date) as text)`;
    collected.push({
      id: project.id,
      name: project.name,
      billingAccountId: project.billingAccountId,
      role,
      joinedAt,
      createdAt: project.createdAt,
      deletedAt: project.deletedAt,
      keys: await ctx.db
        .select({
          id: keys.id,
          name: keys.name,
          start: keys.start,
          mode: keys.mode,
          status: keys.status,
          scopes: keys.scopes,
          allowedCidrs: keys.allowedCidrs,
          createdBy: keys.createdBy,
          createdAt: keys.createdAt,
          expiresAt: keys.expiresAt,
          revokedAt: keys.revokedAt,
        })
        .from(keys)
        .where(eq(keys.projectId, project.id))
        .orderBy(asc(keys.createdAt), asc(keys.id)),
      usageByMonth: await ctx.db
        .select({
          month,
          calls: sql<string>`sum(${usageHourly.calls})`,
          chargedMicros: sql<string>`sum(${usageHourly.chargedMicros})`,
        })
        .from(usageHourly)
        .innerJoin(billingAccounts, eq(billingAccounts.id, project.billingAccountId))
        .where(eq(usageHourly.projectId, project.id))
        .groupBy(month)
        .orderBy(month),
    });
  }
  return collected;
}

async function collectAccounts(ctx: ServiceContext, customer: CustomerRow): Promise<object[]> {
  const { billingAccountAdmins, billingAccounts, budgets, grants, ledgerEntries, ledgerTransactions } = schema;
  const accounts = await ctx.db
    .select({ account: billingAccounts })
    .from(billingAccountAdmins)
    .innerJoin(billingAccounts, eq(billingAccounts.id, billingAccountAdmins.billingAccountId))
    .where(eq(billingAccountAdmins.customerId, customer.id))
    .orderBy(asc(billingAccounts.createdAt), asc(billingAccounts.id));
  const collected: object[] = [];
  for (const { account } of accounts) {
    const [wallet] = await ctx.db
      .select({ limitAmount: budgets.limitAmount, used: budgets.used })
      .from(budgets)
      .where(eq(budgets.id, walletBudgetId(account.id)));
    collected.push({
      ...account,
      balanceMicros: wallet === undefined ? null : wallet.limitAmount - wallet.used,
      grants: await ctx.db
        .select()
        .from(grants)
        .where(eq(grants.billingAccountId, account.id))
        .orderBy(asc(grants.createdAt), asc(grants.id)),
      ledger: await ctx.db
        .select({
          id: ledgerTransactions.id,
          kind: ledgerTransactions.kind,
          reference: ledgerTransactions.reference,
          createdAt: ledgerTransactions.createdAt,
          amountMicros: ledgerEntries.amountMicros,
        })
        .from(ledgerTransactions)
        .innerJoin(ledgerEntries, eq(ledgerEntries.transactionId, ledgerTransactions.id))
        .where(
          and(
            eq(ledgerTransactions.billingAccountId, account.id),
            eq(ledgerTransactions.isVisible, true),
            eq(ledgerEntries.account, `wallet:${account.id}`),
          ),
        )
        .orderBy(asc(ledgerTransactions.createdAt), asc(ledgerTransactions.id)),
    });
  }
  return collected;
}

/** That a mail went out and when. What it said is not kept. */
function collectEmails(ctx: ServiceContext, customer: CustomerRow): Promise<object[]> {
  const { emails } = schema;
  return ctx.db
    .select({
      id: emails.id,
      template: emails.template,
      recipient: emails.recipient,
      status: emails.status,
      createdAt: emails.createdAt,
      sentAt: emails.sentAt,
    })
    .from(emails)
    .where(eq(emails.recipient, customer.email))
    .orderBy(asc(emails.createdAt), asc(emails.id));
}

/** What they did, and what was done to their record. By whom of the operators is not theirs to know. */
async function collectAudit(ctx: ServiceContext, customer: CustomerRow): Promise<object[]> {
  const { auditLog } = schema;
  const own = `customer:${customer.id}`;
  const rows = await ctx.db
    .select()
    .from(auditLog)
    .where(or(eq(auditLog.actor, own), eq(auditLog.subject, customer.id)))
    .orderBy(asc(auditLog.createdAt), asc(auditLog.id));
  return rows.map((row) => ({
    action: row.action,
    subject: row.subject,
    isOwn: row.actor === own,
    ip: row.actor === own ? row.ip : null,
    createdAt: row.createdAt,
  }));
}
