import { STATUS_COMPONENTS } from "@tollgate/contracts";
import { expect, test } from "vitest";
import { durationOf, renderStatus } from "./renderStatus.ts";

const at = new Date("2026-03-01T10:00:00Z");
const components = STATUS_COMPONENTS.map((name) => ({
  name,
  state: "up" as const,
  since: at,
  checkedAt: at,
  latencyMs: 4,
}));

test("what operators write stands on the page as text and never as markup", () => {
  const incident = {
    id: "inc_1",
    title: "<script>alert(1)</script>",
    impact: "minor" as const,
    status: "investigating" as const,
    components: ["gateway" as const],
    createdAt: at,
    resolvedAt: null,
    updates: [{ status: "investigating" as const, message: `"><img src=x onerror=y>`, createdAt: at }],
  };
  const page = renderStatus({ state: "degraded", components, selfTest: null, incidents: [incident], at }, undefined);
  expect(page).not.toMatch(/<script|<img/);
  expect(page).toContain("Not everything is well");
});

test("a day with a minute of trouble has its colour, and one that nobody looked at has none", () => {
  const days = [
    { day: "2026-02-27", upMs: 0, degradedMs: 0, downMs: 0 },
    { day: "2026-02-28", upMs: 80_000_000, degradedMs: 0, downMs: 200_000 },
    { day: "2026-03-01", upMs: 1_000, degradedMs: 90_000, downMs: 0 },
  ];
  const history = { components: [{ name: "gateway" as const, uptimeBasisPoints: 9_975, days }], incidents: [] };
  const page = renderStatus({ state: "up", components, selfTest: null, incidents: [], at }, history);
  expect(page).toContain('<i class="unknown" title="2026-02-27: not looked at">');
  expect(page).toContain('<i class="down" title="2026-02-28: down 3 min">');
  expect(page).toContain('<i class="degraded" title="2026-03-01: degraded 1 min">');
  expect(page).toContain("99.75 % up");
});

test.each([
  [400, "1 s"],
  [59_000, "59 s"],
  [60_000, "1 min"],
  [12_000_000, "3 h 20 min"],
  [7_200_000, "2 h"],
])("%d ms are %s", (ms, words) => {
  expect(durationOf(ms)).toBe(words);
});
