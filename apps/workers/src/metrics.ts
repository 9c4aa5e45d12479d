import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** What the workers count, and what they read from the database whenever somebody asks. */
export function createMetrics(database: {
  sql: (strings: TemplateStringsArray) => PromiseLike<Record<string, unknown>[]>;
}): {
  registry: Registry;
  folded: Counter;
  events: Counter<"consumer" | "outcome">;
} {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const folded = new Counter({
    name: "tollgate_metering_folded_calls_total",
    help: "Calls that were folded",
    registers: [registry],
  });
  const events = new Counter({
    name: "tollgate_events_consumed_total",
    help: "Events that were taken from the stream, by consumer and by what became of them",
    labelNames: ["consumer", "outcome"] as const,
    registers: [registry],
  });
  new Gauge({
    name: "tollgate_events_parked",
    help: "Events that could not be handled: waiting for another attempt, or dead letters",
    labelNames: ["consumer", "status"] as const,
    registers: [registry],
    async collect() {
      this.reset();
      const rows =
        await database.sql`select consumer, status, count(*) as n from parked_events group by consumer, status`;
      for (const row of rows) {
        this.set({ consumer: String(row["consumer"]), status: String(row["status"]) }, Number(row["n"]));
      }
    },
  });
  new Gauge({
    name: "tollgate_outbox_unsent",
    help: "Events and jobs that wait to be sent",
    registers: [registry],
    async collect() {
      const [row] = await database.sql`select count(*) as n from outbox where sent_at is null`;
      this.set(Number(row?.["n"] ?? 0));
    },
  });
  addSelfTestMetrics(registry, database);
  return { registry, folded, events };
}

/** Of the last walk through the product; every worker says the same, and nothing while there was none. */
function addSelfTestMetrics(
  registry: Registry,
  database: { sql: (strings: TemplateStringsArray) => PromiseLike<Record<string, unknown>[]> },
): void {
  const show = (name: string, help: string, read: (row: Readonly<Record<string, unknown>>) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const [row] = await database.sql`select has_passed, finished_at from status_self_tests
          where finished_at is not null order by started_at desc limit 1`;
        if (row === undefined) this.remove();
        else this.set(read(row));
      },
    });
  show("tollgate_self_test_passed", "1 if the last self-test has passed, 0 if it has not", (row) =>
    row["has_passed"] === true ? 1 : 0,
  );
  show(
    "tollgate_self_test_finished_timestamp_seconds",
    "When the last self-test ended, in seconds since 1970",
    (row) => (row["finished_at"] instanceof Date ? row["finished_at"].getTime() / 1_000 : 0),
  );
}
