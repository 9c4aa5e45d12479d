import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { provisionCustomer } from "@tollgate/services/seed";
import type { LoadResult } from "../load/loadPlan.ts";
import { runLoad } from "../load/runLoad.ts";
import type { BenchPlace } from "../place.ts";
import { SERVER_CORE } from "../processes/cores.ts";
import { BenchProcess, startServer } from "../processes/startProcess.ts";
import { fixed, median, medianOf, percent, shown, times, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import { benchLookups } from "./benchLookups.ts";
import { contextOf } from "./identityContext.ts";
import { createOwnDatabase } from "./seedPeople.ts";
import type { SignInPlan, SignInResult } from "./signInPlan.ts";

const PERSON = { email: "somebody@example.test", password: "seven green llamas", isOperator: false };
const SIGN_INS_PER_SECOND = 12;
const OVER_ARGON_MS_MAX = 10;
const OF_STOCK_MIN = 1.5;
const CONNECTIONS = 32;
const TIMEOUT_MS = 300_000;
const SIDES = [
  { id: "product", name: "the product" },
  { id: "stock", name: "tRPC's Fastify adapter + superjson" },
] as const;

/** Signing in, reading oneself, and finding people and keys. */
export async function benchIdentity(
  place: BenchPlace,
  servers: RunningServers,
  show: (section: Section) => void,
): Promise<void> {
  const databaseUrl = await createOwnDatabase(servers.databaseUrl, "bench_identity");
  const database = createDatabase({ url: databaseUrl, applicationName: "bench", connectionsMax: 1 });
  await provisionCustomer({ ctx: contextOf(database, { kind: "system", task: "bench" }), input: PERSON });
  await database.close();
  show(await benchSignIn(place, databaseUrl));
  show(await benchMe(place, databaseUrl));
  show(await benchLookups(place, servers.databaseUrl));
}

async function benchSignIn(place: BenchPlace, databaseUrl: string): Promise<Section> {
  const { warmupSeconds, seconds, rounds } = place.durations;
  const plan: SignInPlan = {
    databaseUrl,
    ...PERSON,
    warmupRounds: warmupSeconds * SIGN_INS_PER_SECOND,
    rounds: seconds * rounds * SIGN_INS_PER_SECOND,
  };
  await place.quiet();
  const process = new BenchProcess({
    name: "signIn",
    program: "signIn",
    core: SERVER_CORE,
    logDir: place.workDir,
    args: [JSON.stringify(plan)],
  });
  const { argonMs, signInMs, others } = await process.nextResult<SignInResult>(TIMEOUT_MS);
  await process.running.closed;
  const over = median(signInMs) - median(argonMs);
  place.log(`signing in: ${fixed(over, 1)} ms over Argon2id`);
  return {
    title: "Signing in",
    about: `One after the other over REST, ${whole(plan.rounds)} times, and between them the same hash is verified by itself: Argon2id with 19 MiB and two passes.`,
    columns: ["", "ms, median", "ms, least", "ms, most"],
    rows: [
      ["Argon2id alone", ...spread(argonMs)],
      ["customers.login", ...spread(signInMs)],
    ],
    goals: [
      {
        what: "signing in over Argon2id's own cost",
        goal: `≤ ${OVER_ARGON_MS_MAX} ms`,
        seen: `${fixed(over, 1)} ms`,
        isReached: judge(over <= OVER_ARGON_MS_MAX, [others]),
      },
    ],
    notes: [],
  };
}

const spread = (values: readonly number[]): string[] =>
  [median(values), Math.min(...values), Math.max(...values)].map((value) => fixed(value, 1));

async function benchMe(place: BenchPlace, databaseUrl: string): Promise<Section> {
  const started = await Promise.all(
    SIDES.map(async ({ id, name }) => {
      const server = await startServer({
        name: `identity-${id}`,
        program: "identityServer",
        core: SERVER_CORE,
        logDir: place.workDir,
        args: [id, databaseUrl],
      });
      return { id, name, port: server.port, pid: server.process.pid, stop: () => server.process.stop() };
    }),
  );
  try {
    const token = await signIn(started[0]?.port ?? 0);
    const results = new Map<string, LoadResult[]>(started.map(({ id }) => [id, []]));
    const { warmupSeconds, seconds, rounds } = place.durations;
    const request = `GET /trpc/customers.me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nAccept: application/json\r\n\r\n`;
    await assertSameAnswers(started, token);
    for (let round = 0; round <= rounds; round += 1) {
      for (const { id, name, port, pid } of started) {
        const result = await runLoad(
          {
            mode: "closed",
            port,
            serverPid: pid,
            connections: CONNECTIONS,
            requests: [request],
            // The first round only warms up.
            warmupSeconds: round === 0 ? warmupSeconds : 0.5,
            seconds: round === 0 ? 1 : seconds,
          },
          place,
        );
        if (round > 0) results.get(id)?.push(result);
        place.log(`customers.me, ${name}: ${whole(result.perSecond)} requests/s`);
      }
    }
    return meSection(place, results);
  } finally {
    for (const { stop } of started) await stop();
  }
}

function meSection(place: BenchPlace, results: ReadonlyMap<string, readonly LoadResult[]>): Section {
  const perSecond = (id: string): number => median((results.get(id) ?? []).map((result) => result.perSecond));
  const others = SIDES.map(({ id }) => medianOf(results.get(id), (result) => result.othersOnCore));
  const ratio = perSecond("product") / perSecond("stock");
  return {
    title: "Control plane: customers.me with its reads",
    about: `Closed loop, ${CONNECTIONS} keep-alive connections; a signed access token, three tables read from PostgreSQL on the other core, the same bytes from both. Median of ${place.durations.rounds}.`,
    columns: ["server", "requests/s", "CPU µs", "p99 ms", "others"],
    rows: SIDES.map(({ id, name }) => [
      name,
      whole(perSecond(id)),
      shown(
        medianOf(results.get(id), (result) => result.serverMicrosPerRequest),
        (micros) => fixed(micros, 0),
      ),
      fixed(median((results.get(id) ?? []).map((result) => result.p99Ms)), 1),
      shown(
        medianOf(results.get(id), (result) => result.othersOnCore),
        percent,
      ),
    ]),
    goals: [
      {
        what: "ours of the Fastify adapter + superjson, the same reads",
        goal: `≥ ${times(OF_STOCK_MIN)}`,
        seen: times(ratio),
        isReached: judge(ratio >= OF_STOCK_MIN, others),
      },
    ],
    notes: [],
  };
}

async function signIn(port: number): Promise<string> {
  const { email, password } = PERSON;
  const response = await fetch(`http://127.0.0.1:${port}/trpc/customers.login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ json: { email, password } }),
  });
  const body = (await response.json()) as { result?: { data: { json: { accessToken: string } } } };
  if (body.result === undefined) throw new Error(`Signing in answered ${JSON.stringify(body)}`);
  return body.result.data.json.accessToken;
}

/** @throws Error when the two do not give the same answer, byte for byte: then they would not do the same */
async function assertSameAnswers(sides: readonly { readonly port: number }[], token: string): Promise<void> {
  const answers = await Promise.all(
    sides.map(async ({ port }) => {
      const url = `http://127.0.0.1:${port}/trpc/customers.me`;
      const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      return `${response.status} ${await response.text()}`;
    }),
  );
  if (new Set(answers).size > 1) throw new Error(`The answers differ:\n${answers.join("\n")}`);
}
