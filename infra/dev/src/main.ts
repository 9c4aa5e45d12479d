import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeSystem } from "./console/describeSystem.ts";
import { createLogView } from "./console/logView.ts";
import { startSystem } from "./system/index.ts";

/**
 * `npm run dev`: the whole product on this machine. Ctrl-C ends it in order; a second Ctrl-C ends it at once.
 */
const USAGE = `npm run dev -- [options]
  --gateways N   how many gateways to run (1)
  --dir DIR      where data, logs and ready.json are kept (.dev)
  --reset        begin with empty data
  --no-reload    do not restart programs when their source changes
  --servers      servers, mail, migrations and seed only; run the programs with: npx turbo dev
  --quiet        do not print the programs' logs (they are in DIR/logs)
`;
const GATEWAYS_MAX = 16;
const PARENT_CHECK_MS = 500;
/** npm passes on to its script what the terminal has sent to both, so one Ctrl-C arrives twice within this. */
const SAME_KEYPRESS_MS = 500;

interface Options {
  readonly dir: string;
  readonly gateways: number;
  readonly isFresh: boolean;
  readonly isQuiet: boolean;
  readonly isReloading: boolean;
  readonly isServersOnly: boolean;
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      gateways: { type: "string", default: "1" },
      dir: { type: "string", default: fileURLToPath(new URL("../../../.dev", import.meta.url)) },
      reset: { type: "boolean", default: false },
      servers: { type: "boolean", default: false },
      quiet: { type: "boolean", default: false },
      "no-reload": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const gateways = Number(values.gateways);
  if (!Number.isInteger(gateways) || gateways < 1 || gateways > GATEWAYS_MAX) {
    throw new Error(`--gateways takes a number from 1 to ${GATEWAYS_MAX}`);
  }
  return {
    dir: values.dir,
    gateways,
    isFresh: values.reset,
    isQuiet: values.quiet,
    isReloading: !values["no-reload"],
    isServersOnly: values.servers,
  };
}

/** Aborts when this process is asked to end, or when the npm that started it is gone without having asked. */
function watchForEnd(): AbortSignal {
  const ending = new AbortController();
  let askedAtMs = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (!ending.signal.aborted) {
        askedAtMs = performance.now();
        ending.abort(signal);
        return;
      }
      // Every child dies with this process, so leaving is enough.
      if (performance.now() - askedAtMs > SAME_KEYPRESS_MS) process.exit(1);
    });
  }
  const { npm_lifecycle_event: script } = process.env;
  if (script !== undefined) {
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent && !ending.signal.aborted) ending.abort("npm is gone");
    }, PARENT_CHECK_MS).unref();
  }
  return ending.signal;
}

async function main(): Promise<void> {
  const options = parseOptions();
  const ending = watchForEnd();
  const view = createLogView(process.stdout);
  const { DATABASE_URL, REDIS_URL, NATS_URL, ETCD_URL } = process.env;
  const startedAtMs = Date.now();
  const system = await startSystem({
    dir: options.dir,
    gateways: options.gateways,
    ports: "stable",
    log: view.progress,
    urls: { postgres: DATABASE_URL, redis: REDIS_URL, nats: NATS_URL, etcd: ETCD_URL },
    isFresh: options.isFresh,
    isReloading: options.isReloading,
    isServersOnly: options.isServersOnly,
    signal: ending,
    ...(options.isQuiet ? {} : { onLine: view.line }),
  });
  view.text(describeSystem(system.info, options.dir, Date.now() - startedAtMs, options.isServersOnly));
  if (!ending.aborted) await new Promise((resolve) => ending.addEventListener("abort", resolve, { once: true }));
  view.progress(`stopping (${String(ending.reason)})`);
  await system.stop();
  view.progress("stopped");
}

// A reader that goes away (a closed terminal, `| head`) must not take the system down with it.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

try {
  await main();
  process.exit(0);
} catch (error) {
  if (typeof error !== "string") process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
