import type { DomainNames } from "../domainNames.ts";

export const createVerb = ({
  domain,
  record,
  Record,
  words,
}: DomainNames): string => `import type { create${Record}Input, ${Record} } from "@tollgate/contracts";
import { ${domain}Created } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { actorName, newId } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireMember } from "../permissions.ts";
import { to${Record} } from "./internal.ts";

/** A new ${words} of a project, for its developers. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function create${Record}({ ctx, input }: Verb<z.output<typeof create${Record}Input>>): Promise<${Record}> {
  return withTransaction(ctx, async (ctx) => {
    const project = await requireMember(ctx, input.projectId, ["developer"]);
    const now = ctx.clock.now();
    const [row] = await ctx.db
      .insert(schema.${domain})
      .values({
        id: newId("${record}"),
        projectId: project.id,
        name: input.name,
        createdBy: actorName(ctx.actor),
        createdAt: now,
        updatedAt: now,
      })
      .returning();
    if (row === undefined) throw new Error("A ${words} was inserted and is not there");
    await writeAudit(ctx, { action: "${domain}.create", subject: row.id, after: row });
    await appendEvent(ctx, ${domain}Created, { ${record}Id: row.id, projectId: project.id });
    return to${Record}(row);
  });
}
`;

export const listVerb = ({
  domain,
  Domain,
  Record,
  words,
}: DomainNames): string => `import type { list${Domain}Input, Page, ${Record} } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireMember } from "../permissions.ts";
import { to${Record} } from "./internal.ts";

/** Every ${words} of a project, newest first, for its members. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function list${Domain}({ ctx, input }: Verb<z.output<typeof list${Domain}Input>>): Promise<Page<${Record}>> {
  const project = await requireMember(ctx, input.projectId, ["viewer"]);
  const { ${domain} } = schema;
  const rows = await ctx.db
    .select()
    .from(${domain})
    .where(and(eq(${domain}.projectId, project.id), afterCursor(${domain}.createdAt, ${domain}.id, input.cursor)))
    .orderBy(...newestFirst(${domain}.createdAt, ${domain}.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, to${Record});
}
`;

export const internal = ({
  domain,
  Record,
}: DomainNames): string => `import type { ${Record} } from "@tollgate/contracts";
import type { schema } from "@tollgate/db";

export type ${Record}Row = typeof schema.${domain}.$inferSelect;

export function to${Record}(row: ${Record}Row): ${Record} {
  return { id: row.id, projectId: row.projectId, name: row.name, createdAt: row.createdAt };
}
`;

export const index = ({ Domain, Record }: DomainNames): string => `export * from "./create${Record}.ts";
export * from "./list${Domain}.ts";
`;

export const verbsTest = ({
  domain,
  Domain,
  record,
  Record,
  words,
}: DomainNames): string => `import { create${Record}Input, list${Domain}Input } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { actorName } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject } from "../../test/serviceFixture.ts";
import type { ProjectRow } from "../permissions.ts";
import { create${Record}, list${Domain} } from "./index.ts";

let fixture: ServiceFixture;
let project: ProjectRow;
let developer: Actor;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  project = await insertProject(fixture);
  developer = await insertMember(fixture, project.id, "developer");
});

const create = (name: string, actor: Actor = developer) =>
  create${Record}({ ctx: fixture.as(actor), input: create${Record}Input.parse({ projectId: project.id, name }) });
const list = (overrides: object = {}, actor: Actor = developer) =>
  list${Domain}({ ctx: fixture.as(actor), input: list${Domain}Input.parse({ projectId: project.id, ...overrides }) });

test("a new ${words} is there with its audit row and its event, and nothing else is", async () => {
  const ${record} = await create("First");
  expect(await list()).toEqual({ items: [${record}], nextCursor: null });
  const { db } = fixture.as();
  const audits = await db.select().from(schema.auditLog).where(eq(schema.auditLog.subject, ${record}.id));
  expect(audits).toMatchObject([{ action: "${domain}.create", actor: actorName(developer) }]);
  const events = await db.select().from(schema.outbox).where(eq(schema.outbox.name, "${domain}.created"));
  expect(events.map((event) => event.payload)).toEqual([{ ${record}Id: ${record}.id, projectId: project.id }]);
});

test("a list goes from page to page, newest first, and loses nothing when times are equal", async () => {
  const created = [await create("One"), await create("Two"), await create("Three")];
  const first = await list({ limit: 2 });
  const second = await list({ limit: 2, cursor: first.nextCursor });
  expect(second.nextCursor).toBeNull();
  const ids = [...first.items, ...second.items].map((item) => item.id);
  expect(ids.toSorted()).toEqual(created.map((item) => item.id).toSorted());
});

test("a stranger is told that there is no such project, and a viewer may look and not touch", async () => {
  const other = await insertProject(fixture);
  const stranger = await insertMember(fixture, other.id, "owner");
  await expect(create("Mine", stranger)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(list({}, stranger)).rejects.toMatchObject({ code: "NOT_FOUND" });
  const viewer = await insertMember(fixture, project.id, "viewer");
  await expect(create("Mine", viewer)).rejects.toMatchObject({ code: "FORBIDDEN" });
  expect((await list({}, viewer)).items).toEqual([]);
});
`;
