import type { Me, Project } from "@tollgate/contracts";
import { prepareQuery, schema } from "@tollgate/db";
import { toMicros, unauthorized } from "@tollgate/kernel";
import type { SQL } from "drizzle-orm";
import { and, asc, eq, getTableColumns, isNull, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { toCustomer } from "./internal.ts";

const { billingAccountAdmins, billingAccounts, customers, projectMembers, projects } = schema;

/** A project as JSON can carry it: an amount as text, because it may exceed what a JSON number holds. */
type ProjectTuple = [Project["id"], string, string, Project["role"], spendCap: string | null, createdAt: string];
type AccountTuple = [id: string, name: string, tierId: string];

/**
 * One statement, though it reads three tables: every page begins with it, and a statement of its own for each of them
 * costs as much in the driver as everything else that the answer needs.
 */
const findMe = prepareQuery((db) => {
  const myProjects = db
    .select({
      tuples: tuplesOf<ProjectTuple>(
        sql`${projects.id}, ${projects.name}, ${projects.billingAccountId}, ${projectMembers.role}, ${projects.monthlySpendCapMicros}::text, ${projects.createdAt}`,
        sql`${asc(projects.createdAt)}, ${asc(projects.id)}`,
      ),
    })
    .from(projectMembers)
    .innerJoin(projects, eq(projects.id, projectMembers.projectId))
    .where(and(eq(projectMembers.customerId, customers.id), isNull(projects.deletedAt)));
  const myAccounts = db
    .select({
      tuples: tuplesOf<AccountTuple>(
        sql`${billingAccounts.id}, ${billingAccounts.name}, ${billingAccounts.tierId}`,
        sql`${asc(billingAccounts.createdAt)}, ${asc(billingAccounts.id)}`,
      ),
    })
    .from(billingAccountAdmins)
    .innerJoin(billingAccounts, eq(billingAccounts.id, billingAccountAdmins.billingAccountId))
    .where(eq(billingAccountAdmins.customerId, customers.id));
  return db
    .select({
      ...getTableColumns(customers),
      projects: sql<ProjectTuple[] | null>`(${myProjects})`,
      accounts: sql<AccountTuple[] | null>`(${myAccounts})`,
    })
    .from(customers)
    .where(eq(customers.id, sql.placeholder("customerId")))
    .prepare("me");
});

/** The caller, their projects with roles, and the billing accounts that they administer. @throws TollgateError UNAUTHORIZED */
export async function readMe({ ctx }: { readonly ctx: ServiceContext }): Promise<Me> {
  const { customerId } = requireCustomer(ctx);
  const [row] = await findMe(ctx.db).execute({ customerId });
  if (row === undefined || row.deletedAt !== null) throw unauthorized("The account is gone");
  return {
    customer: toCustomer(row),
    projects: (row.projects ?? []).map(([id, name, billingAccountId, role, spendCap, createdAt]) => ({
      id,
      name,
      billingAccountId,
      role,
      monthlySpendCapMicros: spendCap === null ? null : toMicros(BigInt(spendCap)),
      createdAt: new Date(createdAt),
    })),
    billingAccounts: (row.accounts ?? []).map(([id, name, tierId]) => ({ id, name, tierId })),
  };
}

/** The rows of a query as one JSON list of lists, null when there are none. */
const tuplesOf = <Tuple>(columns: SQL, order: SQL) =>
  sql<Tuple[] | null>`json_agg(json_build_array(${columns}) order by ${order})`;
