import type { RunningServers } from "@tollgate/dev/servers";
import { findNginx, startNginx } from "../floors/nginx.ts";
import type { LoadPlan, LoadResult } from "../load/loadPlan.ts";
import { runLoad } from "../load/runLoad.ts";
import type { BenchPlace } from "../place.ts";
import { OTHER_CORE, SERVER_CORE } from "../processes/cores.ts";
import { startServer } from "../processes/startProcess.ts";
import { CALL_PATH } from "./seedProduct.ts";
import type { RunningProduct } from "./startProduct.ts";
import { startProduct } from "./startProduct.ts";

export type Letter = "a" | "b" | "c" | "d";

/** A server in front of the upstream, ready to be measured. */
export interface Candidate {
  readonly letter: Letter;
  readonly name: string;
  readonly port: number;
  readonly pid: number;
}

/** How a candidate is loaded; what is left out is the same for all. */
export interface Load extends Pick<LoadPlan, "mode" | "ratePerSecond" | "warmupSeconds" | "seconds"> {
  /** Of the call; the small one without it. */
  readonly path?: string;
  /** As many as usual without it. */
  readonly connections?: number;
}

export const CONNECTIONS = 64;

/** The floors and the product side by side, in front of one upstream, on the same core. */
export class Field {
  readonly product: RunningProduct;
  readonly notes: readonly string[];
  readonly #candidates: ReadonlyMap<Letter, Candidate>;
  readonly #place: BenchPlace;
  readonly #stops: readonly (() => Promise<void>)[];
  #answeredByProduct = 0;

  constructor(parts: {
    product: RunningProduct;
    candidates: readonly Candidate[];
    place: BenchPlace;
    notes: readonly string[];
    stops: readonly (() => Promise<void>)[];
  }) {
    this.product = parts.product;
    this.notes = parts.notes;
    this.#candidates = new Map(parts.candidates.map((candidate) => [candidate.letter, candidate]));
    this.#place = parts.place;
    this.#stops = parts.stops;
  }

  get letters(): readonly Letter[] {
    return [...this.#candidates.keys()];
  }

  /** Calls that the product has answered so far: as many must be on its books. */
  get answeredByProduct(): number {
    return this.#answeredByProduct;
  }

  candidate(letter: Letter): Candidate {
    const candidate = this.#candidates.get(letter);
    if (candidate === undefined) throw new Error(`(${letter}) is not there`);
    return candidate;
  }

  /** Loads one candidate. Every candidate gets the very same requests. */
  async load(letter: Letter, { path = CALL_PATH, connections = CONNECTIONS, ...load }: Load): Promise<LoadResult> {
    const { port, pid } = this.candidate(letter);
    const request = [
      `GET ${path} HTTP/1.1`,
      "Host: 127.0.0.1",
      `Authorization: Bearer ${this.product.key}`,
      "Accept: application/json",
      "User-Agent: tollgate-bench",
    ];
    const result = await runLoad(
      { ...load, port, serverPid: pid, connections, requests: [`${request.join("\r\n")}\r\n\r\n`] },
      this.#place,
    );
    if (letter === "d") this.#answeredByProduct += result.answeredInAll;
    return result;
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) await stop();
  }
}

/** Starts what was asked for: (d) always, the floors as named. */
export async function startField(options: {
  readonly place: BenchPlace;
  readonly servers: RunningServers;
  readonly floors: readonly Exclude<Letter, "d">[];
  readonly gatewayNodeArgs?: readonly string[];
}): Promise<Field> {
  const { place, servers, floors } = options;
  const { workDir } = place;
  const candidates: Candidate[] = [];
  const stops: (() => Promise<void>)[] = [];
  const notes: string[] = [];
  const upstream = await startServer({ name: "upstream", program: "upstream", core: OTHER_CORE, logDir: workDir });
  const upstreamUrl = `http://127.0.0.1:${upstream.port}`;
  if (floors.includes("a")) {
    const nginx = await findNginx(place.log);
    if (nginx === undefined) {
      notes.push("(a) nginx is not installed here and could not be fetched: left out.");
    } else {
      const running = await startNginx(nginx, workDir, upstream.port);
      candidates.push({ letter: "a", name: "nginx as a reverse proxy", port: running.port, pid: running.pid });
      stops.push(() => running.stop());
    }
  }
  const startFloor = async (letter: "b" | "c", name: string, program: string, args: string[]): Promise<void> => {
    const floor = await startServer({ name: program, program, core: SERVER_CORE, logDir: workDir, args });
    candidates.push({ letter, name, port: floor.port, pid: floor.process.pid });
    stops.push(() => floor.process.stop());
  };
  if (floors.includes("b")) await startFloor("b", "bare node:http + undici dispatch", "bareProxy", [upstreamUrl]);
  if (floors.includes("c")) {
    const args = [upstreamUrl, servers.redisUrl];
    await startFloor("c", "@fastify/http-proxy + rate limit on Redis", "fastifyProxy", args);
  }
  const product = await startProduct({
    servers,
    upstreamUrl,
    workDir,
    ...(options.gatewayNodeArgs === undefined ? {} : { gatewayNodeArgs: options.gatewayNodeArgs }),
  });
  candidates.push({
    letter: "d",
    name: "the gateway, everything on",
    port: product.gatewayPort,
    pid: product.gateway.pid,
  });
  stops.unshift(() => product.stop());
  stops.push(() => upstream.process.stop());
  return new Field({ product, candidates, place, notes, stops });
}
