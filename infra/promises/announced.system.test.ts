import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { System } from "@tollgate/dev/system";
import { startSystem } from "@tollgate/dev/system";
import { Redis } from "ioredis";
import type { Sql } from "postgres";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkBooks } from "./books.ts";
import type { Receiver } from "./receiver.ts";
import { startReceiver } from "./receiver.ts";
import type { SecondWorkers } from "./secondWorkers.ts";
import { runSecondWorkers } from "./secondWorkers.ts";
import type { Stranger } from "./stranger.ts";
import { callRest, eventually, kill, PASSWORD, signUp } from "./stranger.ts";
import { deleteEventStream, findUnhandled, readEffects } from "./traces.ts";

/**
 * P5: nothing is announced that did not happen, and nothing that happened goes unannounced. Four people rename their
 * projects and get credit, each change with a number, while everything that carries events dies in turn. In the end the
 * numbers of what was announced, of what each consumer made of it, and of what arrived outside must be 1, 2, 3 and so on,
 * each once and in this order. `PROMISE_MUTATIONS` says how many changes; the promise is given for 10,000.
 */
const MUTATIONS = Number(process.env["PROMISE_MUTATIONS"] ?? 1_000);
const PEOPLE = 4;
const EACH = Math.ceil(MUTATIONS / PEOPLE / 2);
/** A machine that is busy takes minutes to have everything up again that has just been killed. */
const ANSWERED_MS_MAX = 600_000;
const HANDLED_MS_MAX = 240_000 + 100 * MUTATIONS;

let system: System;
let dir: string;
let second: SecondWorkers;
let receiver: Receiver;
let sql: Sql;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-p5-"));
  system = await startSystem({ dir, gateways: 1, ports: "ephemeral", log: () => undefined });
  second = await runSecondWorkers(dir);
  receiver = await startReceiver();
  sql = postgres(system.ready.databaseUrl, { max: 2, onnotice: () => undefined });
});

afterAll(async () => {
  await sql?.end();
  await receiver?.close();
  await second?.stop();
  await system?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Whoever leads the relay of the outbox is one of the first two. */
const VICTIMS: Readonly<Record<string, () => void | Promise<void>>> = {
  "a relay with its workers": () => kill(system.ready.pids.workers),
  "the other relay with its workers": () => kill(second.pid),
  NATS: () => kill(system.ready.pids.nats),
  "the stream in NATS": () => deleteEventStream(system.ready.natsUrl),
  "the database": () => kill(system.ready.pids.postgres),
  Redis: () => kill(system.ready.pids.redis),
  "what Redis holds": async () => {
    const redis = new Redis(system.ready.redisUrl, { maxRetriesPerRequest: 1 });
    redis.on("error", () => undefined);
    await redis.flushall().catch(() => undefined);
    redis.disconnect();
  },
  etcd: () => kill(system.ready.pids.etcd),
  "the control plane": () => kill(system.ready.pids.api),
};

/** Signs in again when the token has run out, and asks again when an answer did not come: each change is idempotent. */
class Client {
  readonly #credentials: { readonly email: string; readonly password: string };
  #token: string | undefined;

  constructor(credentials: { readonly email: string; readonly password: string }) {
    this.#credentials = credentials;
  }

  /** @throws Error with the last answer when there is none in time */
  async call(procedure: string, input: Record<string, unknown>): Promise<Record<string, unknown>> {
    let last: unknown;
    const done = eventually(
      procedure,
      async () => {
        try {
          this.#token ??= String(
            (await callRest(system.ready.apiUrl, "customers/login", this.#credentials))["accessToken"],
          );
          return await callRest(system.ready.apiUrl, procedure, input, this.#token);
        } catch (error) {
          last = error;
          this.#token = undefined;
          throw error;
        }
      },
      ANSWERED_MS_MAX,
    );
    return done.catch((error: unknown) => {
      throw new Error(`${error}; the last answer: ${last}`);
    });
  }
}

/** Makes one change after the other, and kills the next victim whenever enough of them are done. */
async function change(people: readonly Stranger[], onDone: () => void): Promise<void> {
  const operator = new Client(system.ready.admin);
  const loops = people.flatMap(({ email, projectId, billingAccountId }) => {
    const person = new Client({ email, password: PASSWORD });
    return [
      async (n: number) => person.call("projects/rename", { id: projectId, name: `${n}` }),
      async (n: number) =>
        operator.call("balance/increment", {
          ...{ billingAccountId, micros: `${n}`, visible: true },
          ...{ reference: `change ${n}`, idempotencyKey: `${billingAccountId}-${n}` },
        }),
    ];
  });
  await Promise.all(
    loops.map(async (next) => {
      for (let n = 1; n <= EACH; n += 1) {
        await next(n);
        onDone();
      }
    }),
  );
}

/** Victims in turn, at even distances of the work, so that each dies under traffic however fast the machine is. */
function killInTurn(): { readonly onDone: () => void; readonly finish: () => Promise<number> } {
  const victims = Object.values(VICTIMS);
  const every = Math.max(20, Math.floor(MUTATIONS / (victims.length * (MUTATIONS < 5_000 ? 2 : 6))));
  let done = 0;
  let kills = 0;
  let killing: Promise<unknown> = Promise.resolve();
  const onDone = (): void => {
    done += 1;
    if (done % every !== 0 || done + every > MUTATIONS) return;
    const victim = victims[kills % victims.length];
    kills += 1;
    killing = killing.then(victim);
  };
  return { onDone, finish: () => killing.then(() => kills) };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe("each event arrives at each consumer, with effect exactly once and in order", () => {
  it(
    `for ${MUTATIONS} changes while relays, workers, NATS, the database and all else are killed`,
    async () => {
      const people: Stranger[] = [];
      for (let index = 0; index < PEOPLE; index += 1) people.push(await signUp(system.ready, `announced-${index}`));
      for (const { billingAccountId, accessToken } of people) {
        const endpoint = { billingAccountId, url: receiver.url, events: ["projects.renamed", "balance.credited"] };
        await callRest(system.ready.apiUrl, "webhooks/createEndpoint", endpoint, accessToken);
      }
      const startedAt = performance.now();
      const killing = killInTurn();
      await change(people, killing.onDone);
      const kills = await killing.finish();
      const changedMs = performance.now() - startedAt;

      // Handled by all of its consumers, or still on its way: parked for another attempt, in the stream, in the outbox.
      await eventually("an end of handling", async () => (await findUnhandled(sql)) === 0, HANDLED_MS_MAX);
      const handledMs = performance.now() - startedAt;
      for (const { projectId, billingAccountId } of people) {
        const renames = await readEffects(sql, "projects.renamed", projectId, "name");
        const credits = await readEffects(sql, "balance.credited", billingAccountId, "micros");
        for (const effects of [renames, credits]) {
          expect(effects.announced).toEqual(numbers(EACH));
          expect(effects.delivered).toEqual(numbers(EACH));
        }
        expect(credits.notified).toEqual(numbers(EACH));
      }
      const [dead] = await sql`select count(*)::int as n from parked_events`;
      expect(dead?.["n"]).toBe(0);
      expect(await checkBooks(system.ready)).toEqual([]);

      // What a worker was sending when it was killed is sent again a minute later, under the same id.
      await eventually("the last delivery", async () => receiver.messages.size >= PEOPLE * EACH * 2, 240_000);
      const deliveries = await sql`select message_id, payload from webhook_deliveries`;
      expect(new Map(deliveries.map((row) => [row["message_id"], row["payload"]]))).toEqual(receiver.messages);
      console.info({
        kills,
        changedMs,
        handledMs,
        deliveredMs: performance.now() - startedAt,
        requests: receiver.count(),
      });
    },
    600_000 + 4 * HANDLED_MS_MAX,
  );
});
