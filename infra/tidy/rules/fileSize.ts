import type { Rule } from "../rule.ts";
import { isTestFile } from "../workspaces.ts";

const LINES_MAX = 300;
/** A suite shares a fixture, and its tests are read one at a time. */
const TEST_LINES_MAX = 600;

/** Files that are longer, and why they are not cut. An entry that is no longer needed is a finding too. */
export const LONG_FILES: Readonly<Record<string, string>> = {
  "apps/gateway/src/budgets/budgetPool.ts":
    "asking, waiting, recalling and giving back change the same few fields of a slice, and are only right together",
  "apps/gateway/src/forward/forwardedCall.ts":
    "one call is one object, and its phases share a dozen fields: cut, it would be several objects that know each other's insides",
  "packages/contracts/src/usage.ts": "a domain's contract is one file, and usage is read and reported in many ways",
};

/** A file over 300 lines needs a reason. */
export const fileSize = (longFiles: Readonly<Record<string, string>> = LONG_FILES): Rule => ({
  name: "file-size",
  check: (tree) =>
    tree.matching(/\.(?:ts|mjs)$/).flatMap((path) => {
      const lines = tree.lines(path).length - 1;
      const linesMax = isTestFile(path) ? TEST_LINES_MAX : LINES_MAX;
      const isExcused = longFiles[path] !== undefined;
      if (lines > linesMax && !isExcused) {
        return [{ path, message: `${lines} lines: cut it, or give a reason in infra/tidy/rules/fileSize.ts` }];
      }
      if (lines <= linesMax && isExcused) {
        return [{ path, message: "is short enough: its reason in infra/tidy/rules/fileSize.ts can go" }];
      }
      return [];
    }),
});
