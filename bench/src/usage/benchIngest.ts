import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { newId } from "@tollgate/kernel";
import type { ServiceContext } from "@tollgate/services";
import { ingestEvents } from "@tollgate/services/usage";
import { contextOf } from "../identity/identityContext.ts";
import { createOwnDatabase, projectIdAt, seedPeople } from "../identity/seedPeople.ts";
import type { BenchPlace } from "../place.ts";
import { fixed, median, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";

const BATCH_EVENTS = 1_000;
const SIDE_BY_SIDE = 4;
const BATCHES_WARMUP = 20;
const PEOPLE = 10;
const TYPES = 8;
const MICROS_PER_SECOND = 1_000_000;
/** Of this process: what one core of a control plane takes in. */
const PER_CORE_MIN = 30_000;

interface Run {
  readonly name: string;
  readonly perSecond: number;
  /** Events that a core takes in a second, by the processor time of this process. */
  readonly perCore: number;
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
    const runs: Run[] = [await measure("new events", ctx, some), await measure("the same events again", ctx, some)];
    for (const run of runs) place.log(`${run.name}: ${whole(run.perSecond)} events/s`);
    await assertCounted(database, (batches + BATCHES_WARMUP) * BATCH_EVENTS);
    return {
      title: "Usage events: CloudEvents in batches",
      about: `\`usage.ingest\` in process, ${whole(batches)} batches of ${whole(BATCH_EVENTS)} events, ${SIDE_BY_SIDE} side by side; every event is validated, stored and counted in one transaction before its batch is answered, and afterwards the counts are compared with what was sent. PostgreSQL on the same core.`,
      columns: ["", "events/s", "events/s of one core's time", "median ms a batch"],
      rows: runs.map((run) => [run.name, whole(run.perSecond), whole(run.perCore), fixed(run.batchMs, 1)]),
      goals: runs.map(toGoal),
      notes: ["“Of one core's time” counts the processor time of this process alone, and hardly minds a busy machine."],
    };
  } finally {
    await database.close();
  }
}

const toGoal = ({ name, perCore }: Run): Goal => ({
  what: name,
  goal: `≥ ${whole(PER_CORE_MIN)} events/s a core`,
  seen: whole(perCore),
  isReached: perCore >= PER_CORE_MIN,
});

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

async function measure(name: string, ctx: ServiceContext, batches: readonly unknown[][]): Promise<Run> {
  const before = process.cpuUsage();
  const startedAt = performance.now();
  const elapsed = await ingest(ctx, batches);
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(before);
  const events = batches.length * BATCH_EVENTS;
  return {
    name,
    perSecond: events / seconds,
    perCore: (events * MICROS_PER_SECOND) / (user + system),
    batchMs: median(elapsed),
  };
}

/** @throws Error unless every event is stored and counted once */
async function assertCounted(database: ReturnType<typeof createDatabase>, sent: number): Promise<void> {
  const [row] = await database.sql`
    select (select count(*) from usage_events) as stored, (select sum(events) from usage_events_hourly) as counted`;
  const [stored, counted] = [Number(row?.["stored"]), Number(row?.["counted"])];
  if (stored !== sent || counted !== sent) throw new Error(`${sent} events: ${stored} stored, ${counted} counted`);
}
