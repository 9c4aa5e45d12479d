import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { forbidden, isAdmin, isService, notFound, unauthorized } from "@tollgate/kernel";
import type { Column, SQL } from "drizzle-orm";
import { and, eq, isNull } from "drizzle-orm";
import type { ServiceContext } from "./context.ts";

/**
 * Who may do what. A record that the caller may not see is NOT_FOUND; one they may see but not change is FORBIDDEN.
 */
export type ProjectRole = (typeof schema.PROJECT_ROLES)[number];

/** What each role includes: owner > admin > developer > viewer, and billing beside developer. */
export const ROLE_INCLUDES: Readonly<Record<ProjectRole, readonly ProjectRole[]>> = {
  owner: ["owner", "admin", "developer", "billing", "viewer"],
  admin: ["admin", "developer", "billing", "viewer"],
  developer: ["developer", "viewer"],
  billing: ["billing", "viewer"],
  viewer: ["viewer"],
};

/**
 * What a member needs to call a procedure about a project: a role that includes one of these. The verbs ask this table, and
 * docs/roles.md shows it (a rule holds the two together).
 */
export const PROJECT_PERMISSIONS = {
  "projects.read": ["viewer"],
  "projects.listMembers": ["viewer"],
  "projects.leave": ["viewer"],
  "projects.rename": ["admin"],
  "projects.invite": ["admin"],
  "projects.listInvites": ["admin"],
  "projects.revokeInvite": ["admin"],
  "projects.changeRole": ["admin"],
  "projects.removeMember": ["admin"],
  "projects.setMonthlySpendCap": ["billing", "admin"],
  "projects.transferOwnership": ["owner"],
  "projects.delete": ["owner"],
  "keys.list": ["viewer"],
  "keys.read": ["viewer"],
  "keys.generate": ["developer"],
  "keys.update": ["developer"],
  "keys.rotate": ["developer"],
  "keys.revoke": ["developer"],
  "usage.read": ["viewer"],
  "usage.monthlyTotal": ["viewer"],
  "usage.calls": ["viewer"],
  "usage.trace": ["viewer"],
  "usage.live": ["viewer"],
  "usage.listEvents": ["viewer"],
  "usage.exportCsv": ["viewer"],
  "usage.setRankingName": ["admin"],
  "alerts.createRule": ["developer", "billing"],
  "alerts.listRules": ["developer", "billing"],
  "alerts.updateRule": ["developer", "billing"],
  "alerts.deleteRule": ["developer", "billing"],
  "alerts.list": ["viewer"],
  "alerts.acknowledge": ["developer", "billing"],
  "webhooks.list": ["developer"],
  "webhooks.createEndpoint": ["developer"],
  "webhooks.update": ["developer"],
  "webhooks.delete": ["developer"],
  "webhooks.rotateSecret": ["developer"],
  "webhooks.listDeliveries": ["developer"],
  "webhooks.redeliver": ["developer"],
  "webhooks.sendTest": ["developer"],
} as const satisfies Readonly<Record<string, readonly ProjectRole[]>>;

export type ProjectPermission = keyof typeof PROJECT_PERMISSIONS;

/** Whether a role includes one of the wanted ones. */
export function mayAct(role: ProjectRole, wanted: readonly ProjectRole[]): boolean {
  return wanted.some((one) => ROLE_INCLUDES[role].includes(one));
}

export type CustomerActor = Extract<Actor, { kind: "customer" }>;
export type ProjectRow = typeof schema.projects.$inferSelect;
export type BillingAccountRow = typeof schema.billingAccounts.$inferSelect;

/** @throws TollgateError UNAUTHORIZED */
export function requireCustomer(ctx: ServiceContext): CustomerActor {
  if (ctx.actor.kind !== "customer") throw unauthorized();
  return ctx.actor;
}

/** Operators only. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export function requireAdmin(ctx: ServiceContext): void {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  if (!isAdmin(ctx.actor)) throw forbidden("Only an operator may do this");
}

/** Operators, internal tasks and services with a token. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export function requireAdminOrService(ctx: ServiceContext): void {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  if (!isAdmin(ctx.actor) && !isService(ctx.actor)) throw forbidden("Only an operator or a service may do this");
}

/** Internal tasks and services with a token. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export function requireService(ctx: ServiceContext): void {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  if (!isService(ctx.actor)) throw forbidden("Only a service may do this");
}

/**
 * The project, if the caller is a member whose role suffices: for a procedure of {@link PROJECT_PERMISSIONS}, or one that
 * includes one of the roles given. With `orAdmin`, operators and services pass too. @throws TollgateError UNAUTHORIZED; NOT_FOUND for a project that is not there or not theirs; FORBIDDEN for too low a role
 */
export async function requireMember(
  ctx: ServiceContext,
  projectId: string,
  permission: ProjectPermission | readonly ProjectRole[],
  options: { readonly orAdmin?: boolean } = {},
): Promise<ProjectRow> {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  const { projects, projectMembers } = schema;
  const customerId = ctx.actor.kind === "customer" ? ctx.actor.customerId : "";
  const [row] = await ctx.db
    .select({ project: projects, role: projectMembers.role })
    .from(projects)
    .leftJoin(projectMembers, and(eq(projectMembers.projectId, projects.id), eq(projectMembers.customerId, customerId)))
    .where(and(eq(projects.id, projectId), isNull(projects.deletedAt)));
  if (row === undefined) throw notFound("project");
  if (options.orAdmin === true && (isAdmin(ctx.actor) || isService(ctx.actor))) return row.project;
  const { role } = row;
  if (role === null) throw notFound("project");
  const roles = typeof permission === "string" ? PROJECT_PERMISSIONS[permission] : permission;
  if (!mayAct(role, roles)) {
    throw forbidden(`This needs the role ${roles.join(" or ")} in the project; yours is ${role}`, {
      reason: "role_too_low",
    });
  }
  return row.project;
}

/**
 * The billing account, if the caller is one of its admins; with `orMember` a member of any of its projects passes, with
 * `orAdmin` operators and services do. @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function requireAccountAdmin(
  ctx: ServiceContext,
  billingAccountId: string,
  options: { readonly orMember?: boolean; readonly orAdmin?: boolean } = {},
): Promise<BillingAccountRow> {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  const { billingAccounts } = schema;
  const [account] = await ctx.db.select().from(billingAccounts).where(eq(billingAccounts.id, billingAccountId));
  if (account === undefined) throw notFound("billing account");
  if (options.orAdmin === true && (isAdmin(ctx.actor) || isService(ctx.actor))) return account;
  if (ctx.actor.kind === "customer") {
    if (await isAccountAdmin(ctx, billingAccountId, ctx.actor.customerId)) return account;
    if (options.orMember === true && (await isMemberOfAccount(ctx, billingAccountId, ctx.actor.customerId)))
      return account;
  }
  throw notFound("billing account");
}

/** What belongs to either a project or a billing account. */
export interface Owned {
  readonly projectId: string | null;
  readonly billingAccountId: string | null;
}

/**
 * Passes whoever may manage what is a project's (its members, as the table says) or a billing account's (its admins).
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function requireOwner(ctx: ServiceContext, owned: Owned, permission: ProjectPermission): Promise<void> {
  if (owned.projectId !== null) await requireMember(ctx, owned.projectId, permission);
  else await requireAccountAdmin(ctx, owned.billingAccountId ?? "");
}

/** The condition for rows of one owner. */
export const ownedBy = (table: { readonly projectId: Column; readonly billingAccountId: Column }, owned: Owned): SQL =>
  owned.projectId === null
    ? eq(table.billingAccountId, owned.billingAccountId ?? "")
    : eq(table.projectId, owned.projectId);

async function isAccountAdmin(ctx: ServiceContext, billingAccountId: string, customerId: string): Promise<boolean> {
  const { billingAccountAdmins } = schema;
  const rows = await ctx.db
    .select({ customerId: billingAccountAdmins.customerId })
    .from(billingAccountAdmins)
    .where(
      and(eq(billingAccountAdmins.billingAccountId, billingAccountId), eq(billingAccountAdmins.customerId, customerId)),
    );
  return rows.length > 0;
}

async function isMemberOfAccount(ctx: ServiceContext, billingAccountId: string, customerId: string): Promise<boolean> {
  const { projects, projectMembers } = schema;
  const rows = await ctx.db
    .select({ id: projects.id })
    .from(projects)
    .innerJoin(projectMembers, eq(projectMembers.projectId, projects.id))
    .where(
      and(
        eq(projects.billingAccountId, billingAccountId),
        eq(projectMembers.customerId, customerId),
        isNull(projects.deletedAt),
      ),
    )
    .limit(1);
  return rows.length > 0;
}
