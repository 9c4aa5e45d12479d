import { inject } from "vitest";

/** One run of the test suite: where its servers are, and a name that keeps it apart from other runs on the same ones. */
export interface TestRun {
  readonly id: string;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly etcdUrl: string;
}

declare module "vitest" {
  interface ProvidedContext {
    run: TestRun;
  }
}

/** The servers of this run. For a database take `createTestDatabase`, which gives the suite one of its own. */
export function testUrls(): TestRun {
  return inject("run");
}
