import type { Rule } from "../rule.ts";
import { decisionRecords } from "./decisionRecords.ts";
import { documentLinks } from "./documentLinks.ts";
import { doors } from "./doors.ts";
import { environment } from "./environment.ts";
import { environmentTables } from "./environmentTables.ts";
import { fileSize } from "./fileSize.ts";
import { finishedTests } from "./finishedTests.ts";
import { guardedMutations } from "./guardedMutations.ts";
import { layers } from "./layers.ts";
import { migrations } from "./migrations.ts";
import { oneSpelling } from "./oneSpelling.ts";
import { ownTimeZone } from "./ownTimeZone.ts";
import { readmeTree } from "./readmeTree.ts";
import { rolesTable } from "./rolesTable.ts";
import { words } from "./words.ts";

/** Everything that `npm run verify` holds the source tree to, beside format, lint and types. */
export const RULES: readonly Rule[] = [
  layers,
  doors,
  oneSpelling,
  guardedMutations(),
  environment,
  environmentTables,
  migrations,
  ownTimeZone,
  words,
  finishedTests,
  fileSize(),
  documentLinks,
  decisionRecords,
  readmeTree,
  rolesTable,
];
