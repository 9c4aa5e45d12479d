import { defineConfig } from "vitest/config";

const roots = ["apps", "packages", "examples", "infra", "bench"];
const files = (suffix: string): string[] => roots.map((root) => `${root}/**/*${suffix}`);
const ignored = ["**/node_modules/**", "**/dist/**", "**/.*/**"];

/**
 * Three kinds of tests, told apart by the file's name:
 * `*.test.ts` needs no servers, `*.int.test.ts` runs on real servers shared by the run (each suite on data of its own),
 * `*.system.test.ts` starts the whole product as processes, one file at a time.
 */
export default defineConfig({
  test: {
    reporters: ["default", "./packages/testing/src/countReporter.ts"],
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: "unit",
          include: files(".test.ts"),
          exclude: [...ignored, "**/*.int.test.ts", "**/*.system.test.ts"],
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "integration",
          include: files(".int.test.ts"),
          exclude: ignored,
          globalSetup: "./packages/testing/src/globalSetup.ts",
          testTimeout: 30_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "system",
          include: files(".system.test.ts"),
          exclude: ignored,
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
