import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { startMailCatcher } from "../mailCatcher/index.ts";
import { startOauthStandIns } from "../oauthStandIns/index.ts";
import type { Runnable } from "../processes/index.ts";
import type { Log, ServerName } from "../servers/index.ts";
import { choosePort, prepareServers, removePostgresData, SERVER_NAMES } from "../servers/index.ts";
import { planAnalytics } from "./analytics.ts";
import { writeEnvironmentFiles } from "./environmentFiles.ts";
import { Fleet } from "./fleet.ts";
import { LOCK_FILE, takeLauncherLock } from "./launcherLock.ts";
import { planOauth } from "./oauth.ts";
import type { Product } from "./product.ts";
import { ADMIN_EMAIL, EXAMPLES, planProduct } from "./product.ts";
import type { LineSink, Program, ProgramPlace } from "./programs.ts";
import { programRunnable } from "./programs.ts";
import type { ReadyInfo, SystemInfo } from "./readyFile.ts";
import { removeReadyFile, writeReadyFile } from "./readyFile.ts";
import { programOf, programsUsing } from "./reload.ts";
import { runToEnd } from "./runToEnd.ts";
import { loadSecrets, saveSecrets } from "./secrets.ts";
import { watchSources } from "./sourceWatch.ts";
import { planStripe } from "./stripe.ts";
import { waitUntilSold } from "./waitUntilSold.ts";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const STABLE_MAIL_PORTS = { http: 4300, smtp: 4325 };
const STABLE_STRIPE_PORT = 4320;
const STABLE_ANALYTICS_PORTS = { mixpanel: 4330, mailchimp: 4331 };
const STABLE_OAUTH_PORTS = { google: 4310, github: 4311 };

export interface SystemOptions {
  /** Everything the system keeps: data, logs, secrets, `ready.json`. */
  readonly dir: string;
  readonly gateways?: number;
  readonly ports: "stable" | "ephemeral";
  /** Takes progress: a line a step, a line a restart. */
  readonly log: Log;
  /** Servers that run already. */
  readonly urls?: Partial<Record<ServerName, string | undefined>>;
  /** Whether to throw away what an earlier system kept there. */
  readonly isFresh?: boolean;
  /** Takes what the programs print, besides their log files. */
  readonly onLine?: LineSink;
  /** The checkout whose programs run; this one when not said. */
  readonly root?: string;
  /** Whether a change of the source restarts what runs it. */
  readonly isReloading?: boolean;
  /** Whether to leave the product's own programs to someone else (`turbo dev`): servers, mail, migrations and seed only. */
  readonly isServersOnly?: boolean;
  /** Aborting it while the system starts makes the start give up and clean up. */
  readonly signal?: AbortSignal;
}

export interface System {
  /** Where everything is and who may sign in. */
  readonly info: SystemInfo;
  /** What `ready.json` says at this moment. @throws Error when only the servers were started */
  readonly ready: ReadyInfo;
  /** Drains and ends everything in order, and removes `ready.json`. */
  stop(): Promise<void>;
}

/**
 * Starts the whole product with its servers as supervised processes, and resolves when all of it answers.
 * @throws Error if another launcher runs in the directory, or if something does not come up; nothing is left running.
 */
export async function startSystem(options: SystemOptions): Promise<System> {
  const dir = path.resolve(options.dir);
  await mkdir(dir, { recursive: true });
  const closings: Closing[] = [];
  const closeAll = async (): Promise<void> => {
    for (let close = closings.pop(); close; close = closings.pop()) await close();
  };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= closeAll();
    return stopped;
  };
  try {
    const { info, describe } = await launch(dir, options, closings);
    return {
      info,
      get ready() {
        return describe();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw options.signal?.aborted ? options.signal.reason : error;
  }
}

/** What undoes one step of the start; run last first. */
type Closing = () => void | Promise<void>;

interface Launched {
  readonly info: SystemInfo;
  describe(): ReadyInfo;
}

async function launch(dir: string, options: SystemOptions, closings: Closing[]): Promise<Launched> {
  const { signal, root = ROOT } = options;
  const lock = takeLauncherLock(dir);
  closings.push(() => lock.release());
  if (options.isFresh) await clear(dir);
  removeReadyFile(dir);
  const place: ProgramPlace = {
    root,
    logDir: path.join(dir, "logs"),
    ...(options.onLine ? { onLine: options.onLine } : {}),
  };
  await rm(place.logDir, { recursive: true, force: true });
  const step = stepper(options);

  let publish = (): void => undefined;
  const fleet = new Fleet(options.log, () => publish());
  const isStablePorts = options.ports === "stable";
  const mail = await startMailCatcher({
    httpPort: await choosePort(isStablePorts ? STABLE_MAIL_PORTS.http : undefined),
    smtpPort: await choosePort(isStablePorts ? STABLE_MAIL_PORTS.smtp : undefined),
  });
  closings.push(() => mail.stop());
  const oauth = await startOauthStandIns({
    google: await choosePort(isStablePorts ? STABLE_OAUTH_PORTS.google : undefined),
    github: await choosePort(isStablePorts ? STABLE_OAUTH_PORTS.github : undefined),
  });
  const { env: oauthEnv, urls: oauthUrls } = planOauth(oauth);
  closings.push(() => oauth.stop());
  const analytics = await planAnalytics({
    mixpanel: await choosePort(isStablePorts ? STABLE_ANALYTICS_PORTS.mixpanel : undefined),
    mailchimp: await choosePort(isStablePorts ? STABLE_ANALYTICS_PORTS.mailchimp : undefined),
  });
  closings.push(() => analytics.stop());
  const stripe = await planStripe(dir, await choosePort(isStablePorts ? STABLE_STRIPE_PORT : undefined));
  closings.push(
    () => stripe.stop(),
    () => fleet.stop(),
  );
  const abort = (): void => void fleet.kill();
  signal?.addEventListener("abort", abort, { once: true });

  const urls = await step("PostgreSQL, Redis, NATS and etcd are up", () => startServers(fleet, dir, options));
  const secrets = await loadSecrets(dir);
  const gateways = options.gateways ?? 1;
  const product = await planProduct({
    dir,
    gateways,
    isStablePorts,
    smtpUrl: mail.smtpUrl,
    oauthEnv,
    stripeEnv: stripe.env,
    analyticsEnv: analytics.env,
    secrets,
    ...urls,
  });
  stripe.connect(product.apiUrl);
  await step("the database is migrated", () => runToEnd(product.migrate, place, signal));
  const demo = await step("the demo is seeded", async () => readSeed(await runToEnd(product.seed, place, signal)));
  await saveSecrets(dir, { ...secrets, demoKey: demo.key });
  await writeEnvironmentFiles(dir, product);
  if (options.isServersOnly !== true) {
    await step("api, gateway, workers and examples are up", () => startPrograms(fleet, product, place));
    await step("the examples are on sale", () => waitUntilSold(product.gatewayUrls, demo.key, signal));
  }
  signal?.removeEventListener("abort", abort);

  const info: SystemInfo = {
    apiUrl: product.apiUrl,
    gatewayUrl: product.gatewayUrls[0] ?? "",
    gatewayUrls: product.gatewayUrls,
    mailUrl: mail.httpUrl,
    channelUrls: mail.channelUrls,
    oauthUrls,
    analyticsUrls: analytics.urls,
    ...(stripe.url === undefined ? {} : { stripeUrl: stripe.url }),
    ...urls,
    admin: { email: ADMIN_EMAIL, password: secrets.adminPassword },
    demo,
    exampleUrls: product.exampleUrls,
  };
  const describe = (): ReadyInfo => ({ ...info, pids: describePids(fleet, product) });
  if (options.isServersOnly === true) return { info, describe };
  publish = () => writeReadyFile(dir, describe());
  publish();
  if (options.isReloading) closings.push(reloadOnChange(root, fleet, options.log));
  closings.push(() => {
    publish = () => undefined;
    removeReadyFile(dir);
  });
  return { info, describe };
}

/** Runs the steps of a start: says how long each took, and ends the start between two of them when it is aborted. */
function stepper({
  log,
  signal,
}: SystemOptions): <Result>(label: string, work: () => Promise<Result>) => Promise<Result> {
  return async (label, work) => {
    signal?.throwIfAborted();
    const startedAtMs = Date.now();
    const result = await work();
    signal?.throwIfAborted();
    log(`${label} (${((Date.now() - startedAtMs) / 1000).toFixed(1)} s)`);
    return result;
  };
}

/** Removes everything an earlier system kept, but for the lock that we hold. */
async function clear(dir: string): Promise<void> {
  await removePostgresData(dir);
  const entries = (await readdir(dir)).filter((entry) => entry !== LOCK_FILE);
  await Promise.all(entries.map((entry) => rm(path.join(dir, entry), { recursive: true, force: true })));
}

type ServerUrls = Pick<ReadyInfo, "databaseUrl" | "redisUrl" | "natsUrl" | "etcdUrl">;

async function startServers(fleet: Fleet, dir: string, options: SystemOptions): Promise<ServerUrls> {
  const { ports, log, urls: given } = options;
  const { urls, runnables } = await prepareServers({ dataDir: dir, ports, log, ...(given ? { urls: given } : {}) });
  await fleet.start("servers", runnables.values());
  const urlOf = (name: ServerName): string => {
    const url = urls.get(name);
    if (url === undefined) throw new Error(`${name} was not prepared`);
    return url;
  };
  return { databaseUrl: urlOf("postgres"), redisUrl: urlOf("redis"), natsUrl: urlOf("nats"), etcdUrl: urlOf("etcd") };
}

async function startPrograms(fleet: Fleet, product: Product, place: ProgramPlace): Promise<void> {
  const runnable = (program: Program): Runnable => programRunnable(program, place);
  await Promise.all([
    fleet.start("gateways", product.gateways.map(runnable)),
    // The examples begin by publishing themselves at the API.
    fleet.start("api", [runnable(product.api)]).then(() => fleet.start("api", product.examples.map(runnable))),
    fleet.start("workers", [runnable(product.workers)]),
  ]);
}

function describePids(fleet: Fleet, product: Product): ReadyInfo["pids"] {
  const servers = SERVER_NAMES.map((name) => [name, fleet.findPid(name)] as const);
  return {
    api: fleet.pid("api"),
    gateways: product.gateways.map(({ name }) => fleet.pid(name)),
    workers: fleet.pid("workers"),
    examples: Object.fromEntries(EXAMPLES.map((name) => [name, fleet.pid(name)])),
    ...Object.fromEntries(servers.filter(([, pid]) => pid !== undefined)),
  };
}

const seedSchema = z.object({
  demo: z.object({
    email: z.string(),
    password: z.string(),
    projectId: z.string(),
    billingAccountId: z.string(),
    key: z.string(),
  }),
});

/** The seed says what it made in the last line it prints. */
function readSeed(lines: readonly string[]): ReadyInfo["demo"] {
  const last = lines.at(-1) ?? "";
  try {
    return seedSchema.parse(JSON.parse(last)).demo;
  } catch (error) {
    throw new Error(`The last line of the seed is not what it should be: ${last.slice(0, 200)}`, { cause: error });
  }
}

function reloadOnChange(root: string, fleet: Fleet, log: Log): () => void {
  return watchSources(root, ["apps", "packages", "examples"], (files) => {
    const programs = programsUsing(files);
    if (programs.size === 0) return;
    log(
      `${files.slice(0, 3).join(", ")}${files.length > 3 ? ", …" : ""} changed; restarting ${[...programs].join(", ")}`,
    );
    fleet
      .restart((name) => programs.has(programOf(name)))
      .catch((error: Error) => log(`restart failed: ${error.message}`));
  });
}
