import type { Database } from "@tollgate/db";
import { drizzle } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import postgres from "postgres";

interface Statement {
  readonly text: string;
  readonly parameters: readonly unknown[];
}

/** A part of what EXPLAIN says of a statement. */
interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly Plans?: readonly PlanNode[];
}

/** A database whose statements are seen as they are sent, so that what is explained is what the product asks. */
export interface ObservedDatabase extends Database {
  /** The plans of all reads that some work sends: the scans in them, by table and index. */
  explain(work: () => Promise<unknown>): Promise<Scan[]>;
}

export interface Scan {
  readonly kind: string;
  readonly table: string;
  readonly index: string | undefined;
}

export function observeDatabase(url: string): ObservedDatabase {
  let seen: Statement[] | undefined;
  const open = (): Sql =>
    postgres(url, {
      max: 4,
      connection: { application_name: "bench", default_transaction_isolation: "serializable" },
      debug: (_, text, parameters) => seen?.push({ text, parameters }),
    });
  const drizzleClient = open();
  const sql = open();
  const explainer = postgres(url, { max: 1 });
  return {
    db: drizzle({ client: drizzleClient }),
    sql,
    drizzleClient,
    close: async () => {
      await Promise.all([drizzleClient, sql, explainer].map((client) => client.end({ timeout: 1 })));
    },
    explain: async (work) => {
      seen = [];
      await work();
      // The driver asks for the server's types by itself.
      const statements = seen.filter(({ text }) => /^\s*select/i.test(text) && !text.includes("pg_type"));
      seen = undefined;
      const scans: Scan[] = [];
      for (const { text, parameters } of statements) {
        const [row] = await explainer.unsafe(`explain (format json) ${text}`, parameters as never[]);
        const plans = (row?.["QUERY PLAN"] ?? []) as readonly { readonly Plan: PlanNode }[];
        scans.push(...plans.flatMap((plan) => scansIn(plan.Plan)));
      }
      return scans;
    },
  };
}

function scansIn(node: PlanNode): Scan[] {
  const table = node["Relation Name"];
  const kind = node["Node Type"];
  const index = node["Index Name"];
  const own = table === undefined && index === undefined ? [] : [{ kind, table: table ?? "", index }];
  return [...own, ...(node.Plans ?? []).flatMap(scansIn)];
}
