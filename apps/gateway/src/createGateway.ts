import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createEtcdStore, UpstreamRegistry } from "@tollgate/config";
import { foldCalls, PUSH_SUBJECTS } from "@tollgate/contracts";
import { createDatabase } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import { Keyring, newId } from "@tollgate/kernel";
import { PushBus, Queues } from "@tollgate/messaging";
import { settingsFrom } from "@tollgate/services";
import { loadUpstreamSecrets } from "@tollgate/services/admin";
import { expireDueGrants } from "@tollgate/services/balance";
import { closeHolder, closeRun, leaseBudgets, openHolder, renewHolder } from "@tollgate/services/budgets";
import { loadCatalogueChanges, readCatalogueVersion } from "@tollgate/services/catalog";
import { createTokenIssuer } from "@tollgate/services/customers";
import { loadKeyRecord } from "@tollgate/services/keys";
import { readFoldedMarks } from "@tollgate/services/metering";
import { BudgetPool } from "./budgets/budgetPool.ts";
import { CatalogueCache } from "./catalogue/catalogueCache.ts";
import { openCredentials } from "./credentials/upstreamCredentials.ts";
import type { GatewayEnv } from "./env.ts";
import { STALL_MS } from "./forward/expectProgress.ts";
import { UpstreamPools } from "./forward/upstreamPools.ts";
import type { Gateway } from "./gateway.ts";
import { createGatewayServer } from "./gatewayServer.ts";
import { Holder } from "./holder.ts";
import { Caller } from "./identity/caller.ts";
import { KeyCache } from "./identity/keyCache.ts";
import { upstreamTokenSigner } from "./identity/upstreamTokens.ts";
import { openRates } from "./limits/openRates.ts";
import { GatewayMetrics } from "./metrics.ts";
import { PushListener } from "./push.ts";
import { fixedSettingsOf, gatewaySettings, openGatewayConfig, shippingPace } from "./settings.ts";
import { SocketRegistry } from "./sockets/socketRegistry.ts";
import { lockSpoolDirectory } from "./spool/lockSpoolDirectory.ts";
import { replayRuns } from "./spool/replayRuns.ts";
import type { ShipperPorts } from "./spool/shipperPorts.ts";
import { Spool } from "./spool/spool.ts";
import { SpoolShipper } from "./spool/spoolShipper.ts";

/** How long a shutdown waits for what its calls left in the spool to be folded. */
const DRAIN_SPOOL_MS = 5_000;
const CLOSE_IDLE_MS = 10;
/** Nothing that a gateway asks takes long, and callers wait for some of it. */
const DATABASE_SILENCE_MS_MAX = 10_000;

export interface RunningGateway {
  readonly port: number;
  /** Stops taking calls, finishes those in flight, ships what is in the spool and gives the leases back. */
  stop(): Promise<void>;
}

/**
 * Builds a gateway out of its parts and lets it listen. It starts without any of its dependencies and answers 503 until
 * it has what it needs; it never needs them all at once again.
 * @throws Error when another process uses the spool directory, or the port is taken
 */
export async function createGateway(options: {
  readonly env: GatewayEnv;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The spool cannot be written: the process should be stopped and started again. */
  readonly onFatal: (error: Error) => void;
  /** How long a client may stand still before it is given up, in milliseconds. */
  readonly stallMs?: number;
  /** Before every key in etcd; keeps test suites apart on one server. */
  readonly etcdNamespace?: string;
}): Promise<RunningGateway> {
  const { env, clock, logger } = options;
  mkdirSync(env.GATEWAY_SPOOL_DIR, { recursive: true });
  const unlock = lockSpoolDirectory(env.GATEWAY_SPOOL_DIR);
  const runId = newId("gateway");
  const database = createDatabase({
    url: env.DATABASE_URL,
    applicationName: `gateway ${runId}`,
    connectionsMax: 6,
    silenceMsMax: DATABASE_SILENCE_MS_MAX,
  });
  const dbContext = {
    database,
    db: database.db,
    isInTransaction: false,
    clock,
    logger,
    actor: { kind: "system", task: "gateway" },
    requestId: runId,
  } as const;
  const bus = new PushBus({ url: env.NATS_URL, name: `gateway ${runId}`, logger });
  const queues = new Queues({
    redisUrl: env.REDIS_URL,
    prefix: env.QUEUE_PREFIX,
    onError: (error) => logger.debug({ err: error }, "Redis"),
  });
  const store = createEtcdStore({ url: env.ETCD_URL, clock, logger, namespace: options.etcdNamespace ?? "" });
  const config = openGatewayConfig({ env, store, database, clock, logger });
  const settings = gatewaySettings(config);
  const services = settingsFrom(fixedSettingsOf(env), config);
  const expireDue = (billingAccountId: string): Promise<boolean> =>
    expireDueGrants({ ctx: { ...dbContext, settings: services }, input: { billingAccountId } });
  const registry = new UpstreamRegistry({ store, clock, logger });
  const metrics = new GatewayMetrics();
  const listener = new PushListener(clock, bus);
  let isDraining = false;
  /** No call can begin any more. One may still be in flight: a connection that was cut tells its call a moment later. */
  let isCallsEnded = false;

  const holder = new Holder({
    runId,
    logger,
    ports: {
      open: (id) => openHolder(database, clock, id),
      renew: (id) => renewHolder(database, clock, id, spoolState()),
    },
    onReopened: () => budgets.forgetAll(),
  });
  const budgets = new BudgetPool({
    clock,
    logger,
    get sliceSeconds() {
      return config.get("leaseSliceSeconds");
    },
    holderId: holder.current,
    onHolderClosed: () => holder.reopen(),
    ports: {
      lease: (holderId, requests) => leaseBudgets({ database, clock, holderId, requests, expireDueGrants: expireDue }),
      recall: (holderId, budgetIds) => bus.publish(PUSH_SUBJECTS.recall, { holderId, budgetIds }),
      announceReturned: (holderId, budgetIds) => bus.publish(PUSH_SUBJECTS.recalled, { holderId, budgetIds }),
    },
  });
  const { rates, close: closeRates } = openRates({ env, runId, settings, database, clock, logger });
  metrics.rates = rates;
  const keys = new KeyCache<Caller>({
    clock,
    logger,
    entriesMax: env.GATEWAY_KEY_CACHE_MAX,
    isPushAlive: listener.isAlive,
    ports: {
      load: (hash) => loadKeyRecord({ ctx: dbContext, input: { hash } }),
      toEntry: (record) => new Caller(record, budgets, rates.limitsOf(record)),
    },
  });
  const keyring = new Keyring(env.TOLLGATE_SECRET, env.MASTER_KEYS);
  const catalogue = new CatalogueCache({
    clock,
    logger,
    ports: {
      loadChanges: (known) => loadCatalogueChanges({ ctx: dbContext, input: { known } }),
      loadCredentials: async (apiIds) =>
        openCredentials(keyring, await loadUpstreamSecrets({ ctx: dbContext, input: { apiIds } }), logger),
      readVersion: () => readCatalogueVersion({ ctx: dbContext }),
    },
  });
  const issuer = createTokenIssuer({ database, clock, settings: services });
  const shipperPorts: ShipperPorts = {
    send: (batch, round) =>
      queues.enqueue(foldCalls, batch, { id: `${batch.source}-${batch.sequence}-${round}`, keep: false }),
    readFolded: (sources) => readFoldedMarks(database, sources),
  };
  const runDirectory = join(env.GATEWAY_SPOOL_DIR, runId);
  const spool = new Spool({
    directory: runDirectory,
    logger,
    isFsyncOn: env.GATEWAY_SPOOL_FSYNC === "on",
    onWritten: () => shipper.notify(),
    onFailed: options.onFatal,
  });
  const shipper = new SpoolShipper({
    directory: runDirectory,
    runId,
    ports: shipperPorts,
    pace: shippingPace(config),
    clock,
    logger,
    openSegment: () => (isCallsEnded && metrics.inFlight === 0 && spool.isSettled ? undefined : spool.segmentNumber),
  });
  const replays = replayRuns({
    spoolDirectory: env.GATEWAY_SPOOL_DIR,
    currentRunId: runId,
    ports: shipperPorts,
    pace: shippingPace(config),
    clock,
    logger,
    closeRun: (oldRunId) => closeRun(database, clock, oldRunId),
  });
  const spoolState = () => ({
    unfolded: spool.appended - shipper.folded + replays.reduce((sum, replay) => sum + replay.shipper.unfolded, 0),
    folded: shipper.folded + replays.reduce((sum, replay) => sum + replay.shipper.folded, 0),
  });
  metrics.spoolUnfolded = () => spoolState().unfolded;
  for (const { finished } of replays) finished.catch((error: unknown) => logger.error({ err: error }, "replay failed"));

  const sockets = new SocketRegistry();
  metrics.openSockets = () => sockets.size;
  const gateway: Gateway = {
    clock,
    logger,
    keys,
    catalogue,
    budgets,
    rates,
    spool,
    sockets,
    metrics,
    upstreams: new UpstreamPools({
      connections: env.GATEWAY_UPSTREAM_CONNECTIONS,
      instancesOf: (api) => registry.instances(api),
      staticUrlsOf: (name) => {
        const api = catalogue.find(name);
        return api?.isRemoved === false ? api.upstreamUrls : undefined;
      },
    }),
    settings,
    holderId: holder.current,
    signUpstreamToken: upstreamTokenSigner(issuer, clock),
    isDraining: () => isDraining,
    trustedProxyHops: env.TRUSTED_PROXY_HOPS,
    stallMs: options.stallMs ?? STALL_MS,
  };
  listener.listen({
    keys,
    catalogue,
    budgets,
    sockets,
    holderId: holder.current,
    onFolded: (source, through) => {
      shipper.onFolded(source, through);
      for (const replay of replays) replay.shipper.onFolded(source, through);
    },
  });
  catalogue.refresh().catch((error: unknown) => logger.warn({ err: error }, "the catalogue cannot be loaded yet"));
  holder.open().catch((error: unknown) => logger.warn({ err: error }, "the leases cannot be opened yet"));

  const server = createGatewayServer(gateway, () => ({
    isReady:
      !isDraining &&
      catalogue.isLoaded &&
      settings.isKnown &&
      holder.current() !== undefined &&
      spool.failure === undefined,
    dependencies: {
      database: holder.current() !== undefined ? "up" : "down",
      catalogue: catalogue.isLoaded ? "loaded" : "loading",
      events: listener.isAlive() ? "up" : "down",
      upstreams: registry.status().isHealthy ? "up" : "down",
      settings: config.status().source,
      rates: rates.isAlone ? "alone" : "shared",
    },
  }));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(env.GATEWAY_PORT, env.GATEWAY_HOST, resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : env.GATEWAY_PORT;

  const stop = async (): Promise<void> => {
    isDraining = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const drained = sockets.drain(() => clock.nowMs());
    // A connection whose call ends while we wait is idle then, and would stay for a minute.
    const closingIdle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_MS);
    await Promise.race([closed, sleep(env.GATEWAY_DRAIN_SECONDS * 1_000)]);
    await drained;
    clearInterval(closingIdle);
    server.closeAllConnections();
    sockets.destroy();
    isCallsEnded = true;
    while (metrics.inFlight > 0 || !spool.isSettled) await sleep(CLOSE_IDLE_MS);
    await Promise.race([budgets.drain(), sleep(2_000)]);
    const isEmpty = await Promise.race([
      shipper.waitUntilEmpty().then(() => true),
      sleep(DRAIN_SPOOL_MS).then(() => false),
    ]);
    holder.stop();
    await closeRates();
    catalogue.close();
    if (isEmpty) {
      spool.close();
      shipper.removeDirectory();
      // Without this, the leases come back when the grace is over.
      await Promise.all(holder.ids.map((id) => closeHolder(database, clock, id))).catch((error: unknown) =>
        logger.warn({ err: error }, "the leases could not be given back"),
      );
    } else {
      logger.warn({ calls: shipper.unfolded }, "stopped with calls in the spool; the next start folds them");
      spool.close();
      shipper.close();
    }
    registry.close();
    config.close();
    await Promise.all([bus.close(), queues.close(), gateway.upstreams.close(), store.close(), database.close()]);
    unlock();
  };
  logger.info({ port, runId }, "gateway listens");
  return { port, stop };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());
