import type { Rule } from "../rule.ts";
import { doors } from "./doors.ts";
import { guardedMutations } from "./guardedMutations.ts";
import { layers } from "./layers.ts";
import { oneSpelling } from "./oneSpelling.ts";

/** Everything that `npm run verify` holds the source tree to, beside format, lint and types. */
export const RULES: readonly Rule[] = [layers, doors, oneSpelling, guardedMutations()];
