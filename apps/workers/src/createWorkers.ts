import { createServer } from "node:http";
import type { EtcdStore } from "@tollgate/config";
import { createEtcdStore, LeaderElection } from "@tollgate/config";
import type { QueueName } from "@tollgate/contracts";
import { QUEUES } from "@tollgate/contracts";
import { createDatabase } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import { newId, toSeller } from "@tollgate/kernel";
import type { JobOrigin } from "@tollgate/messaging";
import { createQueueWorker, originOf, PushBus, Queues } from "@tollgate/messaging";
import type { ServiceContext } from "@tollgate/services";
import { settingsFrom } from "@tollgate/services";
import { eraseUpstreams, openConfig } from "@tollgate/services/admin";
import { BILLING_PORT } from "@tollgate/services/billing";
import type { ErasurePorts } from "@tollgate/services/customers";
import { createTokenIssuer } from "@tollgate/services/customers";
import { createSmtpTransport } from "@tollgate/services/emails";
import { OutboundClient } from "@tollgate/services/outbound";
import type { StripeAccount } from "@tollgate/services/payments";
import { createStripeAccount, erasePayments } from "@tollgate/services/payments";
import { EndpointSlots } from "@tollgate/services/webhooks";
import { keepSettingsRecorded } from "./admin/keepSettingsRecorded.ts";
import { forgetfulnessOf, sinksOf } from "./analytics/sinksOf.ts";
import type { WorkersEnv } from "./env.ts";
import { createHandlers, createJobHandler } from "./handlers.ts";
import { createConsumers } from "./messages/createConsumers.ts";
import { runConsumers } from "./messages/runConsumers.ts";
import { createFoldHandler } from "./metering/createFoldHandler.ts";
import { createMetrics } from "./metrics.ts";
import type { Leadership } from "./relay/outboxRelay.ts";
import { OutboxRelay } from "./relay/outboxRelay.ts";
import { assertSchedules } from "./schedules/assertSchedules.ts";
import { keepSelfTested } from "./status/keepSelfTested.ts";
import { keepStatusChecked } from "./status/keepStatusChecked.ts";
import { createStatusProbes } from "./status/statusProbes.ts";

const SCHEDULE_ASSERT_MS = 60_000;
const SCHEDULE_RETRY_MS = 1_000;

/** Jobs of a queue that run side by side in one worker. */
const CONCURRENCY: Readonly<Record<Exclude<QueueName, "metering">, number>> = {
  billing: 4,
  payments: 4,
  email: 8,
  // They wait for others most of the time.
  webhooks: 64,
  maintenance: 2,
};

export interface RunningWorkers {
  readonly port: number;
  /** Finishes the jobs at hand and stops. */
  stop(): Promise<void>;
}

/** Builds the workers out of their parts and starts them. They start without any of their dependencies. */
export async function createWorkers(options: {
  readonly env: WorkersEnv;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Before every key in etcd; keeps test suites apart on one server. */
  readonly etcdNamespace?: string;
}): Promise<RunningWorkers> {
  const { env, clock, logger } = options;
  const database = createDatabase({ url: env.DATABASE_URL, applicationName: "workers", connectionsMax: 12 });
  const bus = new PushBus({ url: env.NATS_URL, name: "workers", logger });
  const redis = {
    redisUrl: env.REDIS_URL,
    prefix: env.QUEUE_PREFIX,
    onError: (error: Error) => logger.debug({ err: error }, "Redis"),
  };
  const queues = new Queues(redis);
  const etcd = createEtcdStore({ url: env.ETCD_URL, clock, logger, namespace: options.etcdNamespace ?? "" });
  const election = new LeaderElection({ store: etcd, logger, name: "outbox-relay" });
  const leadership = leadershipOf(election, etcd);
  const relay = new OutboxRelay({ database, bus, queues, clock, logger, leadership });
  const metrics = createMetrics(database);
  const config = openConfig({ store: etcd, database, clock, logger, defaults: { logLevel: env.LOG_LEVEL } });
  const seller = toSeller(env);
  const settings = settingsFrom(
    {
      ...(seller === undefined ? {} : { seller }),
      currency: env.STRIPE_CURRENCY,
      masterSecret: env.TOLLGATE_SECRET,
      publicApiUrl: env.PUBLIC_API_URL,
      publicGatewayUrl: env.PUBLIC_GATEWAY_URL,
      publicWebUrl: env.PUBLIC_WEB_URL ?? env.PUBLIC_API_URL,
      outboundAllowedNetworks: env.OUTBOUND_ALLOWED_NETWORKS,
    },
    config,
  );
  const contextFor = (task: string, jobId?: string, origin?: JobOrigin): ServiceContext => ({
    database,
    db: database.db,
    isInTransaction: false,
    clock,
    logger: logger.child({
      task,
      ...(jobId === undefined ? {} : { jobId }),
      ...(origin === undefined ? {} : { requestId: origin.requestId }),
    }),
    actor: { kind: "system", task },
    requestId: origin?.requestId ?? newId("request"),
    traceparent: origin?.traceparent,
    settings,
  });
  const outbound = new OutboundClient({ allowedNetworks: env.OUTBOUND_ALLOWED_NETWORKS });
  const stripe = stripeAccountOf(env);
  const sinks = sinksOf(env);
  const handle = createJobHandler(
    createHandlers({
      mail: createSmtpTransport(env.SMTP_URL, env.MAIL_FROM),
      erasure: { payments: erasurePortOf(stripe), analytics: forgetfulnessOf(sinks), upstreams: eraseUpstreams },
      tokenIssuer: createTokenIssuer({ database, settings, clock }),
      outbound,
      webhookSlots: new EndpointSlots({ perEndpoint: 4, restrictedMax: CONCURRENCY.webhooks / 2 }),
      stripe,
      billing: BILLING_PORT,
      sinks,
    }),
    contextFor,
  );
  const fold = createFoldHandler({ database, clock, bus, logger, onFolded: (calls) => metrics.folded.inc(calls) });
  const workers = QUEUES.map((name) =>
    name === "metering"
      ? createQueueWorker(name, fold, { ...redis, concurrency: env.METERING_CONCURRENCY })
      : createQueueWorker(name, handle, { ...redis, concurrency: CONCURRENCY[name] }),
  );
  for (const worker of workers) {
    worker.on("failed", (job, error) => {
      const requestId = job === undefined ? undefined : originOf(job)?.requestId;
      logger.warn({ err: error, task: job?.name, jobId: job?.id, requestId, attempt: job?.attemptsMade }, "job failed");
    });
  }
  election.campaign();
  relay.start();
  const consuming = runConsumers({
    consumers: createConsumers(sinks),
    contextFor,
    bus,
    clock,
    logger,
    onOutcome: (consumer, outcome) => metrics.events.inc({ consumer, outcome }),
  });
  const stopSchedules = keepSchedules(queues, leadership, logger);
  const stopRecording = keepSettingsRecorded({ ...contextFor("admin.record-settings", "settings"), config });
  const mayLook = () => leadership.isLeader() || !leadership.isSettled();
  const stopLooking = keepStatusChecked({
    ctx: contextFor("status.check"),
    probes: createStatusProbes({ env, database, queues, bus, etcd }),
    mayLook,
  });
  const stopWalking = keepSelfTested({
    ctx: contextFor("status.self-test"),
    // In maintenance changes are refused, so there is nothing to walk through.
    mayWalk: () => mayLook() && config.get("selfTest") && !config.get("maintenance"),
  });

  let isStopping = false;
  const server = createServer((request, response) => {
    void answerProbe(request.url ?? "/").then(([status, type, body]) =>
      response.writeHead(status, { "content-type": type }).end(body),
    );
  });
  const answerProbe = async (url: string): Promise<[number, string, string]> => {
    switch (url) {
      case "/healthz":
        return [200, "text/plain", "ok\n"];
      case "/readyz": {
        const isUp = await database.sql`select 1`.then(
          () => true,
          () => false,
        );
        const body = {
          ready: isUp && !isStopping,
          dependencies: {
            database: isUp ? "up" : "down",
            nats: bus.isConnected ? "up" : "down",
            settings: config.status().source,
          },
        };
        return [body.ready ? 200 : 503, "application/json", `${JSON.stringify(body)}\n`];
      }
      case "/metrics":
        return [200, metrics.registry.contentType, await metrics.registry.metrics()];
      default:
        return [404, "text/plain", "not found\n"];
    }
  };
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(env.WORKERS_PORT, env.WORKERS_HOST, resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : env.WORKERS_PORT;
  logger.info({ port }, "workers run");
  return {
    port,
    stop: async () => {
      isStopping = true;
      stopSchedules();
      await Promise.all([stopRecording(), stopLooking(), stopWalking()]);
      await Promise.all([...workers.map((worker) => worker.close()), consuming.stop()]);
      await relay.stop();
      // Only now may another take over: what this one had under way has been sent and stamped.
      await election.resign();
      await Promise.all([queues.close(), bus.close(), outbound.close()]);
      server.close();
      server.closeAllConnections();
      config.close();
      etcd.close();
      await database.close();
    },
  };
}

/** Who leads is known while etcd answers; otherwise everybody does what a leader does, which is right as well. */
function leadershipOf(election: LeaderElection, etcd: EtcdStore): Leadership {
  return { isLeader: () => election.isLeader(), isSettled: () => etcd.status().isHealthy };
}

/** Jobs take no webhooks, so they need no secrets for them. */
function stripeAccountOf(env: WorkersEnv): StripeAccount | undefined {
  return env.STRIPE_SECRET_KEY === undefined
    ? undefined
    : createStripeAccount({
        secretKey: env.STRIPE_SECRET_KEY,
        webhookSecrets: [],
        currency: env.STRIPE_CURRENCY,
        apiBase: env.STRIPE_API_BASE,
      });
}

function erasurePortOf(stripe: StripeAccount | undefined): ErasurePorts["payments"] {
  return stripe === undefined ? null : (ctx, subject) => erasePayments(ctx, stripe, subject);
}

/** Every worker asserts the schedules when it starts, and then each minute whoever leads. */
function keepSchedules(queues: Queues, leadership: Leadership, logger: Logger): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let isAsserted = false;
  const assertAll = async (): Promise<void> => {
    if (isAsserted && leadership.isSettled() && !leadership.isLeader()) return;
    await assertSchedules(queues);
    isAsserted = true;
  };
  const assert = (): void => {
    assertAll()
      .then(
        () => SCHEDULE_ASSERT_MS,
        (error: unknown) => {
          logger.warn({ err: error }, "the schedules cannot be asserted; trying again");
          return SCHEDULE_RETRY_MS;
        },
      )
      .then((againMs) => {
        if (!isStopped) timer = setTimeout(assert, againMs);
      });
  };
  assert();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
