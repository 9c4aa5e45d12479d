import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Runnable } from "../processes/index.ts";
import { spawnGuarded } from "../processes/index.ts";
import { httpAnswers, redisAnswers } from "./answers.ts";
import { choosePort } from "./ports.ts";
import type { Launch, Tool } from "./tool.ts";

/** A server run from a single program: how it is started and how it says that it answers. */
interface ToolServer {
  readonly tool: Tool;
  /** The first of as many consecutive preferred ports as there are entries. */
  readonly stablePorts: readonly number[];
  url(ports: readonly number[]): string;
  args(place: { host: string; dir: string; ports: readonly number[] }): string[];
  isReady(ports: readonly number[]): Promise<boolean>;
}

const at = (ports: readonly number[], index: number): number => {
  const port = ports[index];
  if (port === undefined) throw new RangeError(`Port ${index} was not chosen`);
  return port;
};

const redis: ToolServer = {
  tool: {
    name: "redis",
    executables: ["redis-server", "valkey-server"],
    versionMin: [6, 2],
    aptPackage: "redis-server",
    brewPackage: "redis",
    image: "redis:7-alpine",
    urlVariable: "REDIS_URL",
  },
  stablePorts: [16379],
  url: (ports) => `redis://127.0.0.1:${at(ports, 0)}`,
  // Nothing in Redis is the only copy, so it keeps nothing: a restart comes back empty, and the product must not mind.
  args: ({ host, dir, ports }) => [
    "--port",
    `${at(ports, 0)}`,
    "--bind",
    host,
    "--protected-mode",
    "no",
    "--dir",
    dir,
    "--databases",
    "256",
    "--save",
    "",
    "--appendonly",
    "no",
    "--maxmemory-policy",
    "noeviction",
  ],
  isReady: (ports) => redisAnswers(at(ports, 0)),
};

const nats: ToolServer = {
  tool: {
    name: "nats",
    executables: ["nats-server"],
    versionMin: [2, 9],
    aptPackage: "nats-server",
    brewPackage: "nats-server",
    image: "nats:2-alpine",
    urlVariable: "NATS_URL",
  },
  stablePorts: [14222, 18222],
  url: (ports) => `nats://127.0.0.1:${at(ports, 0)}`,
  args: ({ host, dir, ports }) => [
    "--jetstream",
    "--store_dir",
    dir,
    "--addr",
    host,
    "--port",
    `${at(ports, 0)}`,
    "--http_port",
    `${at(ports, 1)}`,
  ],
  isReady: (ports) => httpAnswers(`http://127.0.0.1:${at(ports, 1)}/healthz`),
};

const etcd: ToolServer = {
  tool: {
    name: "etcd",
    executables: ["etcd"],
    versionMin: [3, 4],
    aptPackage: "etcd-server",
    brewPackage: "etcd",
    image: "quay.io/coreos/etcd:v3.5.17",
    urlVariable: "ETCD_URL",
  },
  stablePorts: [12379, 12380],
  url: (ports) => `http://127.0.0.1:${at(ports, 0)}`,
  args: ({ host, dir, ports }) => {
    const peer = `http://127.0.0.1:${at(ports, 1)}`;
    return [
      "--name",
      "dev",
      "--data-dir",
      path.posix.join(dir, "member"),
      "--listen-client-urls",
      `http://${host}:${at(ports, 0)}`,
      "--advertise-client-urls",
      `http://127.0.0.1:${at(ports, 0)}`,
      "--listen-peer-urls",
      peer,
      "--initial-advertise-peer-urls",
      peer,
      "--initial-cluster",
      `dev=${peer}`,
      // A lone member elects itself; the default timeouts would make it wait a second for others after a crash.
      "--heartbeat-interval",
      "20",
      "--election-timeout",
      "200",
      "--unsafe-no-fsync",
      "--logger",
      "zap",
      "--log-level",
      "warn",
    ];
  },
  // The port is open before a leader is elected; only /health says that writes will work.
  isReady: (ports) => httpAnswers(`http://127.0.0.1:${at(ports, 0)}/health`, '"true"'),
};

export const TOOL_SERVERS = { redis, nats, etcd } satisfies Record<Tool["name"], ToolServer>;

export interface ServerPlace {
  readonly dataDir: string;
  readonly logDir: string;
  readonly isStablePorts: boolean;
}

/** A server with its ports chosen and its directory made, ready to be started. */
export interface PreparedServer {
  readonly url: string;
  readonly runnable: Runnable;
}

export async function prepareToolServer(
  server: ToolServer,
  launch: Launch,
  place: ServerPlace,
): Promise<PreparedServer> {
  const { name } = server.tool;
  const dir = path.join(place.dataDir, name);
  await mkdir(dir, { recursive: true });
  const ports: number[] = [];
  for (const stable of server.stablePorts) ports.push(await choosePort(place.isStablePorts ? stable : undefined));
  const logFile = path.join(place.logDir, `${name}.log`);
  return {
    url: server.url(ports),
    runnable: {
      name,
      logFile,
      stopSignal: "SIGTERM",
      stopGraceMs: 5_000,
      spawn: () =>
        spawnGuarded({ ...commandOf(server, launch, dir, ports), cwd: dir, logFile, deathSignal: "SIGTERM" }),
      isReady: () => server.isReady(ports),
    },
  };
}

interface LaunchCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

function commandOf(server: ToolServer, launch: Launch, dir: string, ports: readonly number[]): LaunchCommand {
  if (launch.kind === "binary") {
    return { file: launch.file, args: server.args({ host: "127.0.0.1", dir, ports }), env: launch.env };
  }
  const container = `tollgate-${server.tool.name}-${at(ports, 0)}`;
  // `docker run` in the foreground stands for the server: signals reach it and its end is the container's. Only after a
  // kill -9 of `docker run` does the container live on, so it is removed before the next start.
  execFileSync(launch.file, ["rm", "--force", container], { stdio: "ignore" });
  const published = ports.flatMap((port) => ["--publish", `127.0.0.1:${port}:${port}`]);
  const args = server.args({ host: "0.0.0.0", dir: "/data", ports });
  const program = server.tool.executables[0] ?? server.tool.name;
  return {
    file: launch.file,
    args: [
      "run",
      "--rm",
      "--name",
      container,
      ...published,
      "--volume",
      `${dir}:/data`,
      "--entrypoint",
      program,
      launch.image,
      ...args,
    ],
  };
}
