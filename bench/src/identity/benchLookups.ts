import type { ServiceContext } from "@tollgate/services";
import { listCustomers, readCustomer, readMe } from "@tollgate/services/customers";
import { listKeys, loadKeyRecord } from "@tollgate/services/keys";
import type { BenchPlace } from "../place.ts";
import { fixed, median, times, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";
import { contextOf } from "./identityContext.ts";
import type { ObservedDatabase, Scan } from "./observedDatabase.ts";
import { observeDatabase } from "./observedDatabase.ts";
import { createOwnDatabase, emailAt, keyHashAt, projectIdAt, seedPeople } from "./seedPeople.ts";

const FEW = 1_000;
const MANY = 1_000_000;
const LIMIT = 50;
const WARMUP_ROUNDS = 50;
const ROUNDS = 400;
/** A tree of a million rows has a level or two more than one of a thousand. */
const RATIO_MAX = 2;
const FLOOR_MS = 0.5;
/** Reading all of a table that has fewer rows is the quickest way. */
const LARGE_ROWS_MIN = 10_000;

interface Lookup {
  readonly name: string;
  readonly run: (world: World, index: number) => Promise<unknown>;
}

interface World {
  readonly people: number;
  readonly operator: ServiceContext;
  readonly person: (index: number) => ServiceContext;
}

const LOOKUPS: readonly Lookup[] = [
  { name: "customers.list, the newest", run: ({ operator: ctx }) => listCustomers({ ctx, input: { limit: LIMIT } }) },
  {
    name: "customers.list, a page from the middle",
    run: async ({ operator: ctx }, index) => {
      const at = new Date(Date.now() - (index % 700) * 86_400_000);
      const cursor = Buffer.from(`${at.getTime()}:cus_0`).toString("base64url");
      await listCustomers({ ctx, input: { limit: LIMIT, cursor } });
    },
  },
  {
    name: "customers.list by a whole address's beginning",
    run: ({ operator: ctx }, index) =>
      listCustomers({ ctx, input: { limit: LIMIT, emailPrefix: emailAt(index).slice(0, -"@example.test".length) } }),
  },
  {
    name: "customers.list by a beginning that many have",
    run: ({ operator: ctx }) => listCustomers({ ctx, input: { limit: LIMIT, emailPrefix: "person" } }),
  },
  {
    name: "customers.read by address",
    run: ({ operator: ctx }, index) => readCustomer({ ctx, input: { email: emailAt(index) } }),
  },
  { name: "customers.me", run: ({ person }, index) => readMe({ ctx: person(index) }) },
  {
    name: "a key by its hash",
    run: ({ operator: ctx }, index) => loadKeyRecord({ ctx, input: { hash: keyHashAt(index) } }),
  },
  {
    name: "keys.list of a project",
    run: ({ person }, index) => {
      const input = { projectId: projectIdAt(Math.floor((index - 1) / 10) + 1), limit: LIMIT };
      return listKeys({ ctx: person(index), input });
    },
  },
];

interface Seen {
  readonly ms: number;
  readonly scans: readonly Scan[];
  /** Large tables that are read from one end to the other. */
  readonly read: readonly string[];
}

/** Whether finding somebody, or a key, costs the same among a thousand and among a million. */
export async function benchLookups(place: BenchPlace, serverUrl: string): Promise<Section> {
  const few = await measure(place, serverUrl, FEW);
  const many = await measure(place, serverUrl, MANY);
  const rows = LOOKUPS.map(({ name }, index) => {
    const [before, after] = [few[index], many[index]] as [Seen, Seen];
    return [name, fixed(before.ms, 2), fixed(after.ms, 2), times(after.ms / before.ms), describeScans(after.scans)];
  });
  return {
    title: "People and keys: finding one among a million",
    about: `The verbs in process, one after the other, ${ROUNDS} times each for somebody at random, on PostgreSQL with ${whole(FEW)} and with ${whole(MANY)} customers and as many keys; medians. The plans are those of the statements that the verbs sent.`,
    columns: ["", `ms, ${whole(FEW)}`, `ms, ${whole(MANY)}`, "ratio", `how, with ${whole(MANY)}`],
    rows,
    goals: LOOKUPS.map(({ name }, index) => goalOf(name, few[index] as Seen, many[index] as Seen)),
    notes: ["Nobody has called yet, so the tables of calls, of last uses and of usage by the hour are empty here."],
  };
}

function goalOf(name: string, few: Seen, many: Seen): Goal {
  const { read } = many;
  const isQuick = many.ms <= Math.max(few.ms, FLOOR_MS) * RATIO_MAX;
  return {
    what: name,
    goal: `by indexes, ≤ ${times(RATIO_MAX)}`,
    seen: read.length > 0 ? `reads all of ${read.join(", ")}` : times(many.ms / few.ms),
    isReached: read.length === 0 && isQuick,
  };
}

const describeScans = (scans: readonly Scan[]): string =>
  [...new Set(scans.map(({ kind, table, index }) => index ?? `${kind} of ${table}`))].join(", ");

async function measure(place: BenchPlace, serverUrl: string, people: number): Promise<Seen[]> {
  const url = await createOwnDatabase(serverUrl, `bench_identity_${people}`);
  const database = observeDatabase(url);
  try {
    place.log(`seeding ${whole(people)} customers and keys`);
    await seedPeople(database, people);
    await place.quiet();
    const world = worldOf(database, people);
    const seen: Seen[] = [];
    for (const lookup of LOOKUPS) {
      const found = await measureOne(database, world, lookup);
      place.log(`${lookup.name}, ${whole(people)}: ${fixed(found.ms, 2)} ms by ${describeScans(found.scans)}`);
      seen.push(found);
    }
    return seen;
  } finally {
    await database.close();
  }
}

function worldOf(database: ObservedDatabase, people: number): World {
  const customer = (customerId: string, isOperator: boolean) =>
    contextOf(database, { kind: "customer", customerId, sessionId: "ses_bench", isOperator });
  return {
    people,
    operator: customer("cus_operator", true),
    person: (index) => customer(`cus_bench${String(index).padStart(10, "0")}`, false),
  };
}

async function measureOne(database: ObservedDatabase, world: World, { run }: Lookup): Promise<Seen> {
  const somebody = (): number => 1 + Math.floor(Math.random() * world.people);
  const scans = await database.explain(() => run(world, somebody()));
  for (let round = 0; round < WARMUP_ROUNDS; round += 1) await run(world, somebody());
  const elapsed: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const index = somebody();
    const startedAtMs = performance.now();
    await run(world, index);
    elapsed.push(performance.now() - startedAtMs);
  }
  const large = await database.sql<{ name: string }[]>`
    select relname as name from pg_class where relkind = 'r' and reltuples >= ${LARGE_ROWS_MIN}`;
  const isLarge = (table: string): boolean => large.some(({ name }) => name === table);
  const read = scans.filter(({ kind, table }) => kind.includes("Seq Scan") && isLarge(table));
  return { ms: median(elapsed), scans, read: [...new Set(read.map(({ table }) => table))] };
}
