import { parseArgs } from "node:util";

export const PARTS = [
  "gateway",
  "latency",
  "stream",
  "memory",
  "sockets",
  "fold",
  "keys",
  "control",
  "identity",
  "catalog",
  "ledger",
  "settle",
  "close",
  "ingest",
  "series",
] as const;
export type Part = (typeof PARTS)[number];

/** How long things are measured. */
export interface Durations {
  /** Once for every server, before anything counts: code that is compiled late is not yet what will run. */
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly memorySeconds: number;
  readonly foldCalls: number;
  readonly keyAdmissions: number;
  readonly ledgerTransactions: number;
  readonly settleCalls: number;
  readonly closedPeriods: number;
  readonly ingestBatches: number;
}

export interface Options {
  readonly parts: readonly Part[];
  readonly durations: Durations;
  readonly isWriting: boolean;
  readonly isProfiling: boolean;
  readonly isPatient: boolean;
}

const DURATIONS = {
  quick: {
    warmupSeconds: 4,
    seconds: 2,
    rounds: 3,
    memorySeconds: 60,
    foldCalls: 160_000,
    keyAdmissions: 300_000,
    ledgerTransactions: 2_000,
    settleCalls: 200_000,
    closedPeriods: 1_000,
    ingestBatches: 60,
  },
  usual: {
    warmupSeconds: 6,
    seconds: 5,
    rounds: 3,
    memorySeconds: 300,
    foldCalls: 800_000,
    keyAdmissions: 1_000_000,
    ledgerTransactions: 10_000,
    settleCalls: 1_000_000,
    closedPeriods: 5_000,
    ingestBatches: 300,
  },
  full: {
    warmupSeconds: 10,
    seconds: 10,
    rounds: 3,
    memorySeconds: 300,
    foldCalls: 3_000_000,
    keyAdmissions: 2_000_000,
    ledgerTransactions: 20_000,
    settleCalls: 1_000_000,
    closedPeriods: 10_000,
    ingestBatches: 1_000,
  },
} satisfies Record<string, Durations>;

export const USAGE = `npm run bench -- [${PARTS.join("|")} ...] [options]

Without a part: all but memory, which takes five minutes.
  --memory   memory as well
  --full     everything, and longer
  --quick    everything shorter; for a look
  --write    put the results into bench/RESULTS.md
  --profile  with gateway: where its time goes, and nothing else of it
  --patient  wait for a quiet moment before every run
  --help`;

/** @throws Error for an argument that is not known */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      memory: { type: "boolean", default: false },
      full: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      patient: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const named = new Set(positionals.map(toPart));
  if (values.memory) named.add("memory");
  const isOnlyMemoryAdded = positionals.length === 0;
  const parts = PARTS.filter((part) => named.has(part) || (isOnlyMemoryAdded && (part !== "memory" || values.full)));
  return {
    parts,
    durations: values.full ? DURATIONS.full : values.quick ? DURATIONS.quick : DURATIONS.usual,
    isWriting: values.write,
    isProfiling: values.profile,
    isPatient: values.patient,
  };
}

function toPart(text: string): Part {
  const part = PARTS.find((candidate) => candidate === text);
  if (part === undefined) throw new Error(`There is no part named ${text}\n\n${USAGE}`);
  return part;
}
