import { writeSync } from "node:fs";
import type { Reporter, SerializedError, TestModule } from "vitest/node";

/**
 * Ends a run with one line that a machine can read: `12 passed, 0 failed`, with `, 1 skipped` when there are any. What
 * keeps tests from running at all (a file that does not load, an unhandled error) counts as a failure. Tests that skipped
 * themselves for a reason are named with it before that line.
 */
export default class CountReporter implements Reporter {
  #line: string | undefined;
  #skipped: readonly string[] = [];

  onInit(): void {
    // Other reporters print their summaries late; only the end of the process is later.
    process.once("exit", (code) => {
      if (this.#line === undefined) return;
      // What is checked when the servers stop, after the last test, fails the run and no test.
      const line = code === 0 ? this.#line : this.#line.replace(/ passed, 0 failed/, " passed, 1 failed");
      writeSync(1, [...this.#skipped, line].map((each) => `${each}\n`).join(""));
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    this.#line = countLine(modules, unhandledErrors.length);
    this.#skipped = modules.flatMap((module) => skippedLines(module));
  }
}

function skippedLines(module: Pick<TestModule, "children">): string[] {
  return [...module.children.allTests("skipped")].flatMap((test) => {
    const result = test.result();
    return result.state === "skipped" && result.note !== undefined
      ? [`skipped: ${test.fullName} (${result.note.trim().replace(/\s*\n\s*/g, "; ")})`]
      : [];
  });
}

/** The line for a finished run. */
export function countLine(
  modules: readonly Pick<TestModule, "children" | "errors">[],
  unhandledErrors: number,
): string {
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0, pending: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) counts[test.result().state] += 1;
    counts.failed += module.errors().length;
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
  }
  // A test that never got a result (an aborted run) did not pass.
  const failed = counts.failed + counts.pending;
  return `${counts.passed} passed, ${failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""}`;
}
