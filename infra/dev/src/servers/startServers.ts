import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { delay } from "@tollgate/kernel";
import type { Runnable, RunningProcess } from "../processes/index.ts";
import { EndedBeforeReady, waitUntilReady } from "../processes/index.ts";
import { findLaunches } from "./findLaunches.ts";
import { preparePostgres, removePostgresData } from "./postgres.ts";
import type { Log, ServerName } from "./tool.ts";
import { SERVER_NAMES } from "./tool.ts";
import type { PreparedServer, ServerPlace } from "./toolServers.ts";
import { prepareToolServer, TOOL_SERVERS } from "./toolServers.ts";

const CACHE_DIR = fileURLToPath(new URL("../../../../.cache/devservers", import.meta.url));
const START_TIMEOUT_MS = 30_000;
const RETRY_MS = 100;

export interface PrepareOptions {
  /** Absolute. Data is under it, a directory per server, and logs in `logs`. */
  readonly dataDir: string;
  /** `stable`: the same ports every time while they are free. `ephemeral`: any. */
  readonly ports: "stable" | "ephemeral";
  readonly log: Log;
  /** Which servers; all four when not said. */
  readonly only?: readonly ServerName[];
  /** Servers that run already: used as they are, never started, stopped or restarted. */
  readonly urls?: Partial<Record<ServerName, string | undefined>>;
}

export interface ServersOptions extends PrepareOptions {
  /** Whether the data directory outlives {@link RunningServers.stop}. */
  readonly keepData: boolean;
}

/** The servers that were asked for: where each is, and how to start those that are ours. */
export interface PreparedServers {
  readonly urls: ReadonlyMap<ServerName, string>;
  readonly runnables: ReadonlyMap<ServerName, Runnable>;
}

/**
 * Finds the programs, chooses ports and makes data directories, and starts nothing yet.
 * @throws Error if a server cannot be had on this machine.
 */
export async function prepareServers(options: PrepareOptions): Promise<PreparedServers> {
  const names = options.only ?? SERVER_NAMES;
  const managed = names.filter((name) => options.urls?.[name] === undefined);
  const logDir = path.join(options.dataDir, "logs");
  await mkdir(logDir, { recursive: true });
  const place: ServerPlace = { dataDir: options.dataDir, logDir, isStablePorts: options.ports === "stable" };
  const tools = Object.values(TOOL_SERVERS).filter((server) => managed.includes(server.tool.name));
  const [database, launches] = await Promise.all([
    managed.includes("postgres") ? preparePostgres(place) : undefined,
    findLaunches(
      tools.map((server) => server.tool),
      CACHE_DIR,
      options.log,
    ),
  ]);
  const prepared = new Map<ServerName, PreparedServer>(database ? [["postgres", database]] : []);
  for (const server of tools) {
    const launch = launches.get(server.tool);
    if (launch) prepared.set(server.tool.name, await prepareToolServer(server, launch, place));
  }
  const urls = new Map<ServerName, string>();
  for (const name of names) {
    const url = options.urls?.[name] ?? prepared.get(name)?.url;
    if (url !== undefined) urls.set(name, url);
  }
  return { urls, runnables: new Map([...prepared].map(([name, { runnable }]) => [name, runnable])) };
}

/** One server that is ours. It keeps its port and its data over any number of starts (Redis, by design, keeps no data). */
export class ServerHandle {
  readonly #runnable: Runnable;
  #running: RunningProcess | undefined;

  constructor(runnable: Runnable) {
    this.#runnable = runnable;
  }

  /** @throws Error if it is not running. */
  get pid(): number {
    if (!this.#running || this.#running.exit) throw new Error(`${this.#runnable.name} is not running`);
    return this.#running.pid;
  }

  /**
   * Starts it and waits until it answers. A start right after a kill -9 may meet what the dead one left (PostgreSQL's
   * backends hold its shared memory for some milliseconds), so it is tried again until it comes up.
   * @throws Error if it does not within 30 s.
   */
  async start(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const running = this.#runnable.spawn();
      this.#running = running;
      try {
        return await waitUntilReady(this.#runnable, running, START_TIMEOUT_MS);
      } catch (error) {
        await running.stop("SIGKILL", 0);
        if (!(error instanceof EndedBeforeReady) || Date.now() > deadline) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  /** Stops it in order. Harmless when it is not running. */
  async stop(): Promise<void> {
    await this.#running?.stop(this.#runnable.stopSignal, this.#runnable.stopGraceMs);
  }

  /** Ends it with SIGKILL, as a crash would, and resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#running?.stop("SIGKILL", 0);
  }
}

export interface RunningServers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly etcdUrl: string;
  /** Of the servers that are ours. */
  readonly pids: Partial<Record<ServerName, number>>;
  /** @throws Error if the server is not ours or was not asked for. */
  server(name: ServerName): ServerHandle;
  stop(): Promise<void>;
}

/**
 * Starts PostgreSQL, Redis, NATS and etcd, or those asked for, and waits until they answer.
 * Reading the URL of one that was not asked for throws.
 */
export async function startServers(options: ServersOptions): Promise<RunningServers> {
  const prepared = await prepareServers(options);
  const handles = new Map([...prepared.runnables].map(([name, runnable]) => [name, new ServerHandle(runnable)]));
  const stop = async (): Promise<void> => {
    await Promise.all([...handles.values()].map((handle) => handle.stop()));
    if (!options.keepData) await removeServerData(options.dataDir);
  };
  const starts = await Promise.allSettled([...handles.values()].map((handle) => handle.start()));
  const failed = starts.find((start) => start.status === "rejected");
  if (failed) {
    await stop();
    throw failed.reason;
  }
  return new StartedServers(prepared.urls, handles, stop);
}

class StartedServers implements RunningServers {
  readonly #urls: ReadonlyMap<ServerName, string>;
  readonly #handles: ReadonlyMap<ServerName, ServerHandle>;
  readonly stop: () => Promise<void>;

  constructor(
    urls: ReadonlyMap<ServerName, string>,
    handles: ReadonlyMap<ServerName, ServerHandle>,
    stop: () => Promise<void>,
  ) {
    this.#urls = urls;
    this.#handles = handles;
    this.stop = stop;
  }

  get databaseUrl(): string {
    return this.#url("postgres");
  }

  get redisUrl(): string {
    return this.#url("redis");
  }

  get natsUrl(): string {
    return this.#url("nats");
  }

  get etcdUrl(): string {
    return this.#url("etcd");
  }

  get pids(): Partial<Record<ServerName, number>> {
    return Object.fromEntries([...this.#handles].map(([name, handle]) => [name, handle.pid]));
  }

  server(name: ServerName): ServerHandle {
    const handle = this.#handles.get(name);
    if (!handle) throw new Error(`${name} was not started here`);
    return handle;
  }

  #url(name: ServerName): string {
    const url = this.#urls.get(name);
    if (url === undefined) throw new Error(`${name} was not asked for`);
    return url;
  }
}

/** Removes everything that servers keep for a data directory. They must not be running. */
export async function removeServerData(dataDir: string): Promise<void> {
  await removePostgresData(dataDir);
  await rm(dataDir, { recursive: true, force: true });
}
