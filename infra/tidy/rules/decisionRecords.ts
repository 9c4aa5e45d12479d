import type { Finding, Rule } from "../rule.ts";

const PLACE = "docs/decisions/";
const SECTIONS = ["Context", "Decision", "Consequences"];

/** Decisions are numbered without gaps, in `NNNN-title.md`, and say context, decision and consequences, in that order. */
export const decisionRecords: Rule = {
  name: "decision-records",
  check(tree) {
    const findings: Finding[] = [];
    const records = tree.paths.filter((path) => path.startsWith(PLACE));
    for (const [index, path] of records.entries()) {
      const find = (message: string): void => {
        findings.push({ path, message });
      };
      const number = /^(\d{4})-[a-z0-9]+(?:-[a-z0-9]+)*\.md$/.exec(path.slice(PLACE.length))?.[1];
      if (number === undefined) {
        find("must be called NNNN-title.md");
        continue;
      }
      if (Number(number) !== index + 1) find(`is number ${Number(number)} where ${index + 1} comes next`);
      const lines = tree.lines(path);
      if (!new RegExp(`^# ${Number(number)}\\. \\S`).test(lines[0] ?? "")) {
        find(`must begin with "# ${Number(number)}. " and its title`);
      }
      const sections = lines.filter((line) => line.startsWith("## ")).map((line) => line.slice(3).trim());
      if (SECTIONS.join() !== sections.join()) {
        find(`must have the sections ${SECTIONS.join(", ")}, and has ${sections.join(", ") || "none"}`);
      }
      for (const section of SECTIONS) {
        const start = lines.indexOf(`## ${section}`);
        const next = lines.findIndex((line, at) => at > start && line.startsWith("## "));
        const body = lines.slice(start + 1, next === -1 ? undefined : next).join("");
        if (start !== -1 && body.trim() === "") find(`says nothing under ${section}`);
      }
    }
    return findings;
  },
};
