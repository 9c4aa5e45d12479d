import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { newId } from "@tollgate/kernel";
import type { ServiceContext } from "@tollgate/services";
import { ingestEvents } from "@tollgate/services/usage";
import { contextOf } from "../identity/identityContext.ts";
import { createOwnDatabase, projectIdAt, seedPeople } from "../identity/seedPeople.ts";
import type { BenchPlace } from "../place.ts";
import { readRanMs } from "../processes/cpuTime.ts";
import { familyOf } from "../processes/family.ts";
import { fixed, median, shown, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";

const BATCH_EVENTS = 1_000;
const SIDE_BY_SIDE = 4;
const BATCHES_WARMUP = 20;
const PEOPLE = 10;
const TYPES = 8;
const MICROS_PER_SECOND = 1_000_000;
/** Of this process: what one core of a control plane takes in. */
const PER_CORE_MIN = 30_000;
/** Of PostgreSQL: what it stores and counts. */
const FOLDED_PER_CORE_MIN = 50_000;

interface Run {
  readonly name: string;
  readonly perSecond: number;
  /** Events that a core takes in a second, by the processor time of this process. */
  readonly perCore: number;
  /** Events that a core stores and counts in a second, by the processor time of PostgreSQL. Undefined where it is not known. */
  readonly foldedPerCore: number | undefined;
  readonly batchMs: number;
}

/** CloudEvents in batches: each is validated, stored and counted once before it is answered. */
export async function benchIngest(place: BenchPlace, servers: RunningServers): Promise<Section> {
  const url = await createOwnDatabase(servers.databaseUrl, "bench_ingest");
  const database = createDatabase({ url, applicationName: "bench", connectionsMax: SIDE_BY_SIDE });
  try {
    await seedPeople(database, PEOPLE);
    const ctx = contextOf(database, { kind: "service", service: "bench" });
    const batches = place.durations.ingestBatches;
    await ingest(ctx, makeBatches(BATCHES_WARMUP));
    await place.quiet();
    const some = makeBatches(batches);
    const { postgres } = servers.pids;
    const measured = (name: string): Promise<Run> => measure(name, ctx, some, postgres);
    const runs: Run[] = [await measured("new events"), await measured("the same events again")];
    for (const run of runs) place.log(`${run.name}: ${whole(run.perSecond)} events/s`);
    await assertCounted(database, (batches + BATCHES_WARMUP) * BATCH_EVENTS);
    return {
      title: "Usage events: CloudEvents in batches",
      about: `\`usage.ingest\` in process, ${whole(batches)} batches of ${whole(BATCH_EVENTS)} events, ${SIDE_BY_SIDE} side by side; every event is validated, stored and counted in one transaction before its batch is answered, and afterwards the counts are compared with what was sent. PostgreSQL on the same core.`,
      columns: ["", "events/s", "taken in/s of a core", "folded/s of a core", "median ms a batch"],
      rows: runs.map((run) => [
        run.name,
        whole(run.perSecond),
        whole(run.perCore),
        shown(run.foldedPerCore, whole),
        fixed(run.batchMs, 1),
      ]),
      goals: runs.flatMap(toGoals),
      notes: [
        "“Of a core” counts processor time and hardly minds a busy machine: of this process what is taken in, which is validated and sent to PostgreSQL; of PostgreSQL with all that it does in the background what is folded, which is stored and counted once.",
      ],
    };
  } finally {
    await database.close();
  }
}

const toGoals = ({ name, perCore, foldedPerCore }: Run): Goal[] => [
  {
    what: `${name}, taken in`,
    goal: `≥ ${whole(PER_CORE_MIN)} events/s of a core`,
    seen: whole(perCore),
    isReached: perCore >= PER_CORE_MIN,
  },
  {
    what: `${name}, folded`,
    goal: `≥ ${whole(FOLDED_PER_CORE_MIN)} events/s of a core`,
    seen: shown(foldedPerCore, whole),
    isReached: foldedPerCore === undefined ? undefined : foldedPerCore >= FOLDED_PER_CORE_MIN,
  },
];

function makeBatches(count: number): unknown[][] {
  const time = new Date(Math.floor(Date.now() / MICROS_PER_SECOND) * MICROS_PER_SECOND).toISOString();
  return Array.from({ length: count }, () =>
    Array.from({ length: BATCH_EVENTS }, (_, index) => ({
      specversion: "1.0",
      id: newId("event"),
      source: "/bench/renderer",
      type: `page.rendered.${index % TYPES}`,
      time,
      datacontenttype: "application/json",
      data: { pages: 3, customer: "cus_0123456789", region: "eu-west" },
    })),
  );
}

/** @returns how long each batch took, in milliseconds */
async function ingest(ctx: ServiceContext, batches: readonly unknown[][]): Promise<number[]> {
  const elapsed: number[] = [];
  const waiting = [...batches];
  const sender = async (): Promise<void> => {
    for (let events = waiting.pop(); events !== undefined; events = waiting.pop()) {
      const startedAt = performance.now();
      const { accepted } = await ingestEvents({ ctx, input: { projectId: projectIdAt(1), events } });
      if (accepted !== events.length) throw new Error(`Only ${accepted} of ${events.length} events were accepted`);
      elapsed.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, sender));
  return elapsed;
}

async function measure(
  name: string,
  ctx: ServiceContext,
  batches: readonly unknown[][],
  postgres: number | undefined,
): Promise<Run> {
  const before = process.cpuUsage();
  // The connections are there already; those that come and go in the background are little.
  const family = postgres === undefined ? [] : familyOf([postgres]);
  const foldedBeforeMs = ranMsOf(family);
  const startedAt = performance.now();
  const elapsed = await ingest(ctx, batches);
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(before);
  const events = batches.length * BATCH_EVENTS;
  const foldedMs = ranMsOf(family) - foldedBeforeMs;
  return {
    name,
    perSecond: events / seconds,
    perCore: (events * MICROS_PER_SECOND) / (user + system),
    foldedPerCore: foldedMs > 0 ? (events * 1_000) / foldedMs : undefined,
    batchMs: median(elapsed),
  };
}

const ranMsOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + (readRanMs(pid) ?? 0), 0);

/** @throws Error unless every event is stored and counted once */
async function assertCounted(database: ReturnType<typeof createDatabase>, sent: number): Promise<void> {
  const [row] = await database.sql`
    select (select count(*) from reported_events) as stored, (select sum(events) from usage_events_hourly) as counted`;
  const [stored, counted] = [Number(row?.["stored"]), Number(row?.["counted"])];
  if (stored !== sent || counted !== sent) throw new Error(`${sent} events: ${stored} stored, ${counted} counted`);
}
