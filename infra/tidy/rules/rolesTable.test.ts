import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { renderRoles, rolesTable } from "./rolesTable.ts";

const PERMISSIONS = `
export const ROLE_INCLUDES: Readonly<Record<string, readonly string[]>> = { owner: ["owner", "viewer"], viewer: ["viewer"] };
export const PROJECT_PERMISSIONS = { "projects.read": ["viewer"], "projects.delete": ["owner"] } as const satisfies object;
`;
const VERBS = `
export const readProject = (ctx) => requireMember(ctx, "prj", "projects.read");
export const deleteProject = (ctx) => requireMembership(ctx, "prj", "projects.delete");
`;
const TABLE = `| procedure | owner | viewer |
|---|:-:|:-:|
| \`projects.read\` | ✓ | ✓ |
| \`projects.delete\` | ✓ |  |`;

const check = async (document: string, verbs = VERBS): Promise<string[]> => {
  const files = {
    "packages/services/src/permissions.ts": PERMISSIONS,
    "packages/services/src/projects/verbs.ts": verbs,
    "docs/roles.md": document,
  };
  return (await rolesTable.check(treeOf(files))).map(({ message }) => message);
};

test("a document with the table of the code passes", async () => {
  expect(renderRoles(treeOf({ "packages/services/src/permissions.ts": PERMISSIONS }))).toBe(TABLE);
  expect(await check(`# Roles\n\n${TABLE}\n`)).toEqual([]);
});

test("a document that says something else of a role is refused", async () => {
  const wrong = TABLE.replace("| `projects.delete` | ✓ |  |", "| `projects.delete` | ✓ | ✓ |");
  expect(await check(wrong)).toEqual(["is not what the code says: run infra/tidy/writeRoles.ts"]);
});

test("a procedure that no verb asks for is refused", async () => {
  expect(await check(TABLE, VERBS.replace("projects.delete", "projects.read"))).toEqual([
    'no verb asks for "projects.delete"',
  ]);
});
