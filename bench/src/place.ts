import type { Durations } from "./options.ts";

/** What every part of the benchmark is given. */
export interface BenchPlace {
  /** For logs, plans and spools; removed at the end. */
  readonly workDir: string;
  readonly durations: Durations;
  /** Resolves when the machine has nothing else to do, if that is waited for at all. */
  readonly quiet: () => Promise<void>;
  readonly log: (line: string) => void;
}
