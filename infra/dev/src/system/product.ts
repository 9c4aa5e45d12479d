import path from "node:path";
import { choosePort } from "../servers/index.ts";
import type { Program } from "./programs.ts";
import type { Task } from "./runToEnd.ts";
import type { Secrets } from "./secrets.ts";

/** Which programs the product consists of, where each listens and what each is told. */
export interface ProductPlace {
  readonly dir: string;
  readonly gateways: number;
  readonly isStablePorts: boolean;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly etcdUrl: string;
  readonly smtpUrl: string;
  /** Registrations at the stand-ins of Google and GitHub; see `planOauth`. */
  readonly oauthEnv: Readonly<Record<string, string>>;
  /** The account at Stripe; see `planStripe`. */
  readonly stripeEnv: Readonly<Record<string, string>>;
  /** The sinks of events; see `planAnalytics`. */
  readonly analyticsEnv: Readonly<Record<string, string>>;
  readonly secrets: Secrets;
}

export const EXAMPLES = ["helloworld", "qr", "text"] as const;
export const ADMIN_EMAIL = "admin@example.com";
export const DEMO_EMAIL = "demo@example.com";

const HOST = "127.0.0.1";
const STABLE_PORTS = { api: 4000, gateways: 4100, workers: 4200, examples: 4400 };

export interface Product {
  readonly apiUrl: string;
  readonly gatewayUrls: readonly string[];
  readonly exampleUrls: Readonly<Record<string, string>>;
  readonly migrate: Task;
  readonly seed: Task;
  readonly api: Program;
  readonly gateways: readonly Program[];
  readonly workers: Program;
  readonly examples: readonly Program[];
}

/** Chooses the ports and writes down every program's environment. */
export async function planProduct(place: ProductPlace): Promise<Product> {
  const choose = (stable: number): Promise<number> => choosePort(place.isStablePorts ? stable : undefined);
  const apiPort = await choose(STABLE_PORTS.api);
  const workersPort = await choose(STABLE_PORTS.workers);
  const gatewayPorts: number[] = [];
  for (let index = 0; index < place.gateways; index++) gatewayPorts.push(await choose(STABLE_PORTS.gateways + index));
  const examplePorts = new Map<string, number>();
  for (const [index, name] of EXAMPLES.entries()) examplePorts.set(name, await choose(STABLE_PORTS.examples + index));

  const urlOf = (port: number): string => `http://${HOST}:${port}`;
  const apiUrl = urlOf(apiPort);
  const gatewayUrls = gatewayPorts.map(urlOf);
  const { secrets } = place;
  const { LOG_LEVEL = "info" } = process.env;
  const common = {
    NODE_ENV: "development",
    LOG_LEVEL,
    DATABASE_URL: place.databaseUrl,
    REDIS_URL: place.redisUrl,
    NATS_URL: place.natsUrl,
    ETCD_URL: place.etcdUrl,
    TOLLGATE_SECRET: secrets.tollgateSecret,
    SERVICE_TOKENS: `examples=${secrets.examplesToken}`,
    PUBLIC_API_URL: apiUrl,
    PUBLIC_GATEWAY_URL: gatewayUrls[0] ?? "",
    // Whoever tries webhooks out receives them on this machine.
    OUTBOUND_ALLOWED_NETWORKS: "127.0.0.0/8,::1/128",
  };
  const mail = { SMTP_URL: place.smtpUrl, MAIL_FROM: "Tollgate <no-reply@example.com>" };
  return {
    apiUrl,
    gatewayUrls,
    exampleUrls: Object.fromEntries([...examplePorts].map(([name, port]) => [name, urlOf(port)])),
    migrate: { name: "migrate", entry: "packages/db/src/migrate.main.ts", env: common },
    seed: {
      name: "seed",
      entry: "apps/api/src/seed.main.ts",
      env: { ...common, ...mail, ...seedEnv(secrets) },
      // What it made has passwords and a key.
      isLog: (line) => !line.startsWith('{"admin"'),
    },
    api: {
      name: "api",
      entry: "apps/api/src/main.ts",
      env: { ...common, ...mail, ...place.oauthEnv, ...place.stripeEnv, API_HOST: HOST, API_PORT: `${apiPort}` },
      readyUrl: `${apiUrl}/readyz`,
    },
    gateways: gatewayPorts.map((port, index) => ({
      name: `gateway-${index + 1}`,
      entry: "apps/gateway/src/main.ts",
      env: {
        ...common,
        GATEWAY_HOST: HOST,
        GATEWAY_PORT: `${port}`,
        GATEWAY_SPOOL_DIR: path.join(place.dir, `gateway-${index + 1}`, "spool"),
      },
      readyUrl: `${urlOf(port)}/readyz`,
    })),
    workers: {
      name: "workers",
      entry: "apps/workers/src/main.ts",
      env: {
        ...common,
        ...mail,
        ...place.stripeEnv,
        ...place.analyticsEnv,
        WORKERS_HOST: HOST,
        WORKERS_PORT: `${workersPort}`,
      },
      readyUrl: `${urlOf(workersPort)}/readyz`,
    },
    examples: [...examplePorts].map(([name, port]) => ({
      name,
      entry: `examples/${name}/src/main.ts`,
      env: {
        NODE_ENV: common.NODE_ENV,
        LOG_LEVEL: common.LOG_LEVEL,
        ETCD_URL: common.ETCD_URL,
        PUBLIC_API_URL: apiUrl,
        TOLLGATE_SERVICE_TOKEN: secrets.examplesToken,
        HOST,
        PORT: `${port}`,
      },
      readyUrl: `${urlOf(port)}/healthz`,
    })),
  };
}

function seedEnv(secrets: Secrets): Record<string, string> {
  return {
    ADMIN_EMAIL,
    ADMIN_PASSWORD: secrets.adminPassword,
    DEMO_EMAIL,
    DEMO_PASSWORD: secrets.demoPassword,
    ...(secrets.demoKey === undefined ? {} : { DEMO_KEY: secrets.demoKey }),
  };
}
