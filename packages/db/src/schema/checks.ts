import { boolean, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { instant } from "./columns.ts";

/** How each check of the books went when it last ran. */
export const checkRuns = pgTable("check_runs", {
  check: text("check_name").primaryKey(),
  ok: boolean("ok").notNull(),
  differences: jsonb("differences").$type<{ subject: string; left: string; right: string }[]>().notNull(),
  ranAt: instant("ran_at").notNull(),
  /** Since when it has failed without a break. */
  brokenSince: instant("broken_since"),
});
