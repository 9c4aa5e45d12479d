import superjson from "superjson";
import type { LoadResult } from "../load/loadPlan.ts";
import { runLoad } from "../load/runLoad.ts";
import type { BenchPlace } from "../place.ts";
import { SERVER_CORE } from "../processes/cores.ts";
import { startServer } from "../processes/startProcess.ts";
import { fixed, median, medianOf, percent, shown, times, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import { INPUT, TOKEN } from "./controlRouter.ts";

const SIDES = [
  { id: "ours", name: "the product's binding and builders", args: ["binding", "product"] },
  { id: "fastify", name: "tRPC's Fastify adapter + superjson", args: ["fastify", "stock"] },
  { id: "fastifyOurs", name: "tRPC's Fastify adapter, the product's builders", args: ["fastify", "product"] },
  { id: "standalone", name: "tRPC's standalone adapter + superjson", args: ["standalone", "stock"] },
] as const;
type SideId = (typeof SIDES)[number]["id"];

const CONNECTIONS = 64;
const BATCH_CALLS = 5;
const SETTLE_SECONDS = 0.5;
const OF_STOCK_MIN = 3;

interface Side {
  readonly id: SideId;
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

/** A request line for one call, or for a batch of them, as tRPC's own client sends it. */
function pathOf(calls: number): string {
  const input = superjson.serialize(INPUT);
  if (calls === 1) return `/trpc/keys.read?input=${encodeURIComponent(JSON.stringify(input))}`;
  const inputs = Object.fromEntries(Array.from({ length: calls }, (_, index) => [index, input]));
  const paths = Array.from({ length: calls }, () => "keys.read").join(",");
  return `/trpc/${paths}?batch=1&input=${encodeURIComponent(JSON.stringify(inputs))}`;
}

/** @throws Error when the sides do not give the same answer, byte for byte: then they would not do the same */
async function assertSameAnswers(sides: readonly Side[], calls: number): Promise<void> {
  const answers = new Set<string>();
  for (const { port } of sides) {
    const response = await fetch(`http://127.0.0.1:${port}${pathOf(calls)}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    answers.add(`${response.status} ${await response.text()}`);
  }
  if (answers.size > 1) throw new Error(`The answers differ:\n${[...answers].join("\n")}`);
}

/** An authenticated query over the product's tRPC binding and over tRPC's own adapters. */
export async function benchControl(place: BenchPlace): Promise<Section> {
  const started = await Promise.all(
    SIDES.map(async ({ id, name, args }) => {
      const server = await startServer({
        name: `control-${id}`,
        program: "controlServer",
        core: SERVER_CORE,
        logDir: place.workDir,
        args,
      });
      return { id, name, port: server.port, pid: server.process.pid, stop: () => server.process.stop() };
    }),
  );
  try {
    const single = await measure(place, started, 1);
    const batch = await measure(place, started, BATCH_CALLS);
    const rows = started.map(({ id, name }) => [
      name,
      ...[single, batch].flatMap((results) => [
        whole(median((results.get(id) ?? []).map((result) => result.perSecond))),
        shown(
          medianOf(results.get(id), (run) => run.serverMicrosPerRequest),
          (micros) => fixed(micros, 1),
        ),
        times(1 / ratio(results, "ours", id)),
      ]),
      shown(
        medianOf(single.get(id), (run) => run.othersOnCore),
        percent,
      ),
    ]);
    const goal = (to: SideId, name: string, results: Results): Goal => {
      const seen = ratio(results, "ours", to);
      const others = [results.get("ours"), results.get(to)].map((runs) => medianOf(runs, (run) => run.othersOnCore));
      return {
        what: name,
        goal: `≥ ${OF_STOCK_MIN}×`,
        seen: times(seen),
        isReached: judge(seen >= OF_STOCK_MIN, others),
      };
    };
    return {
      title: "Control plane: an authenticated query",
      about: `Closed loop, ${CONNECTIONS} keep-alive connections; two middlewares, zod in and out, no database; every server gives the same bytes. Median of ${place.durations.rounds}.`,
      columns: [
        "server",
        "requests/s",
        "CPU µs",
        "of ours",
        `batches of ${BATCH_CALLS}/s`,
        "CPU µs",
        "of ours",
        "others",
      ],
      rows,
      goals: [
        goal("fastify", "ours of the Fastify adapter + superjson", single),
        goal("fastifyOurs", "ours of the Fastify adapter with our builders", single),
        goal("fastify", `the same, batches of ${BATCH_CALLS}, + superjson`, batch),
      ],
      notes: [
        "The third server differs from ours in the HTTP binding alone: same router, same transformer. Ours of that is what the binding gives; the rest is the transformer.",
      ],
    };
  } finally {
    for (const { stop } of started) await stop();
  }
}

type Results = ReadonlyMap<SideId, readonly LoadResult[]>;

async function measure(place: BenchPlace, sides: readonly Side[], calls: number): Promise<Results> {
  await assertSameAnswers(sides, calls);
  const request = `GET ${pathOf(calls)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKEN}\r\nAccept: application/json\r\n\r\n`;
  const load = ({ port, pid }: Side, warmupSeconds: number, seconds: number): Promise<LoadResult> =>
    runLoad(
      {
        mode: "closed",
        port,
        serverPid: pid,
        connections: CONNECTIONS,
        requests: [request],
        warmupSeconds,
        seconds,
      },
      place,
    );
  const { warmupSeconds, seconds, rounds } = place.durations;
  const results = new Map<SideId, LoadResult[]>(sides.map(({ id }) => [id, []]));
  for (const side of sides) await load(side, 0, warmupSeconds);
  for (let round = 1; round <= rounds; round += 1) {
    for (const side of sides) {
      const result = await load(side, SETTLE_SECONDS, seconds);
      results.get(side.id)?.push(result);
      place.log(`round ${round}, ${calls} a request: ${side.name} ${whole(result.perSecond)} requests/s`);
    }
  }
  return results;
}

function ratio(results: Results, of: SideId, to: SideId): number {
  const others = results.get(to) ?? [];
  return median(
    (results.get(of) ?? []).map((result, round) => result.perSecond / (others[round]?.perSecond ?? Number.NaN)),
  );
}
