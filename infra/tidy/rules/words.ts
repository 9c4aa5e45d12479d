import type { Finding, Rule } from "../rule.ts";

interface Unwanted {
  readonly pattern: RegExp;
  readonly why: string;
}

/** What has no place in any file: it speaks of one machine or of how a text came about, or it gives something away. */
const NOWHERE: readonly Unwanted[] = [
  { pattern: /(?<![\w.:/-])\/(?:home|Users)\/[a-z][\w.-]*\//, why: "a path of somebody's machine" },
  { pattern: /(?<![\w.:/-])\/(?:root|work|private)\/[\w.-]+/, why: "a path of somebody's machine" },
  { pattern: /https?:\/\/[^\s"'`)]*(?:registry|artifactory|nexus)[^\s"'`)]*/i, why: "a package registry's address" },
  { pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----/, why: "a private key" },
  { pattern: /\b(?:sk|rk)_live_[0-9A-Za-z]{16,}/, why: "a secret of a payment provider" },
  { pattern: /\bgh[pousr]_[0-9A-Za-z]{30,}|\bAKIA[0-9A-Z]{16}\b/, why: "a token" },
  { pattern: /^(?:<{7}|>{7}|={7})(?: |$)/, why: "a merge that was not finished" },
  { pattern: /\bco-authored-by\b|\blanguage model\b/i, why: "how the text came about" },
];

/** What code says when it is not finished. */
const IN_CODE: readonly Unwanted[] = [
  { pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/, why: "unfinished work: finish it" },
  { pattern: /not (?:yet )?implemented/i, why: "unfinished work: finish it" },
  { pattern: /@ts-(?:ignore|nocheck|expect-error)/, why: "types are not switched off" },
];

/** Names that say nothing about what is inside. */
const EMPTY_NAMES = /(?:^|\/)(?:utils?|helpers?|managers?|common|misc|shared|V2)(?:\/|\.[a-z]+$)/;

/** The rules that name these words, and their tests. */
const SELF = /^infra\/tidy\/rules\/(?:words|finishedTests)(?:\.test)?\.ts$/;
const TEXT = /\.(?:ts|mjs|js|json|md|sql|grit|ya?ml|toml|html|css|sh)$|^\.ci\/|^[A-Z]+$/;

/** Files speak of the product and of nothing else, and are finished. */
export const words: Rule = {
  name: "words",
  check(tree) {
    const findings: Finding[] = [];
    for (const path of tree.paths) {
      if (EMPTY_NAMES.test(path)) findings.push({ path, message: "a name that says nothing about what is inside" });
      if (!TEXT.test(path) || SELF.test(path) || path === "package-lock.json") continue;
      const unwanted = path.endsWith(".ts") ? [...NOWHERE, ...IN_CODE] : NOWHERE;
      for (const [index, line] of tree.lines(path).entries()) {
        for (const { pattern, why } of unwanted) {
          if (pattern.test(line)) findings.push({ path, line: index + 1, message: why });
        }
      }
    }
    return findings;
  },
};
