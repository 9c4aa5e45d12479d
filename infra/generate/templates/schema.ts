import type { DomainNames } from "../domainNames.ts";

export const schema = ({
  domain,
  Record,
  table,
  words,
}: DomainNames): string => `import { index, pgTable, text } from "drizzle-orm/pg-core";
import { createdAt, id, updatedAt } from "./columns.ts";
import { projects } from "./projects.ts";

/** ${/^[AEIOU]/.test(Record) ? "An" : "A"} ${words} of a project. */
export const ${domain} = pgTable(
  "${table}",
  {
    id: id().primaryKey(),
    projectId: id("project_id")
      .notNull()
      .references(() => projects.id),
    name: text("name").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [index("${table}_project_id_idx").on(t.projectId, t.createdAt, t.id)],
);
`;
