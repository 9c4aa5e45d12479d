import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { renderRoles } from "./rules/rolesTable.ts";
import { readSourceTree } from "./sourceTree.ts";

/** Writes the table of docs/roles.md from the code; the words around it stay. */
const tree = readSourceTree(fileURLToPath(new URL("../..", import.meta.url)));
const file = fileURLToPath(new URL("../../docs/roles.md", import.meta.url));
const lines = readFileSync(file, "utf8").split("\n");
const start = lines.findIndex((line) => line.startsWith("| procedure "));
const length = lines.slice(start).findIndex((line) => !line.startsWith("|"));
if (start === -1 || length === -1) throw new Error("docs/roles.md has no table to replace");
lines.splice(start, length, renderRoles(tree));
writeFileSync(file, lines.join("\n"));
