import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EVENT_SUBJECT_PREFIX, foldCalls as foldCallsJob, PUSH_SUBJECTS } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import { delay, newId, silentLogger, systemClock } from "@tollgate/kernel";
import { createQueueWorker, PushBus } from "@tollgate/messaging";
import type { ServiceContext, ServiceSettings } from "@tollgate/services";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { walletBudgetId } from "@tollgate/services/budgets";
import { generateKeyText, hashKey } from "@tollgate/services/keys";
import { foldCalls, SourceGapError } from "@tollgate/services/metering";
import type { TestDatabase, TestNamespace } from "@tollgate/testing";
import { createTestDatabase, createTestNamespace } from "@tollgate/testing";
import type { RunningGateway } from "../createGateway.ts";
import { createGateway } from "../createGateway.ts";
import type { GatewayEnv } from "../env.ts";
import { call } from "./client.ts";
import { ScriptedUpstream } from "./scriptedUpstream.ts";

/** The price of a call where a test does not say another. */
export const PRICE = 1_000;
const SECRET = "0123456789abcdef0123456789abcdef";

export interface LabEndpoint {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly priceMicros?: number;
  readonly freePerMonth?: number;
  readonly unit?: string;
  readonly unitsMax?: number;
  readonly isChargedOn4xx?: boolean;
  readonly timeoutMs?: number;
  readonly bodyBytesMax?: number;
  readonly isRetired?: boolean;
  readonly meter?: "call" | "message";
}

export interface LabKey {
  readonly creditMicros?: number;
  readonly freeCallsPerMonth?: number;
  readonly mode?: "live" | "test";
  readonly status?: "active" | "blocked" | "revoked";
  readonly blockedMessage?: string;
  readonly scopes?: readonly string[];
  readonly allowedCidrs?: readonly string[];
  readonly rateLimitPerSecond?: number;
  /** A million without it, which no test reaches. */
  readonly tierRateLimitPerSecond?: number;
  readonly monthlySpendCapMicros?: number;
  readonly projectCapMicros?: number;
  readonly expiresAt?: Date;
  /** Of the billing account. */
  readonly timeZone?: string;
}

export interface LabAccount {
  readonly key: string;
  readonly keyId: string;
  readonly projectId: string;
  readonly billingAccountId: string;
}

export interface RecordedCall {
  readonly id: string;
  readonly outcome: string;
  readonly status: number;
  readonly units: number;
  readonly chargedMicros: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/**
 * A gateway's surroundings on real servers: a database and a Redis of its own, an upstream that does as it is told, and a
 * worker that folds.
 */
export class Lab {
  readonly upstream: ScriptedUpstream;
  readonly database: Database;
  readonly databaseUrl: string;
  readonly namespace: TestNamespace;
  /** Why batches could not be folded. */
  readonly foldFailures: Error[] = [];
  readonly #testDatabase: TestDatabase;
  readonly #directories: string[] = [];
  readonly #gateways: RunningGateway[] = [];
  readonly #bus: PushBus;
  #worker: ReturnType<typeof createQueueWorker> | undefined;

  private constructor(options: {
    upstream: ScriptedUpstream;
    testDatabase: TestDatabase;
    namespace: TestNamespace;
    database: Database;
  }) {
    this.upstream = options.upstream;
    this.database = options.database;
    this.databaseUrl = options.testDatabase.url;
    this.namespace = options.namespace;
    this.#testDatabase = options.testDatabase;
    this.#bus = new PushBus({ url: options.namespace.natsUrl, name: "lab", logger: silentLogger });
    this.startFolding();
  }

  static async open(): Promise<Lab> {
    const [testDatabase, namespace, upstream] = await Promise.all([
      createTestDatabase(),
      createTestNamespace(),
      ScriptedUpstream.start(),
    ]);
    const database = createDatabase({ url: testDatabase.url, applicationName: "lab", connectionsMax: 6 });
    return new Lab({ upstream, testDatabase, namespace, database });
  }

  async close(): Promise<void> {
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()));
    await this.stopFolding();
    await Promise.all([this.#bus.close(), this.upstream.stop(), this.database.close()]);
    await this.#testDatabase.drop();
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }

  startFolding(): void {
    const options = { redisUrl: this.namespace.redisUrl, prefix: this.namespace.redisPrefix, onError: () => undefined };
    this.#worker = createQueueWorker(
      "metering",
      async (job) => {
        const batch = foldCallsJob.schema.parse(job.data);
        try {
          const { through } = await foldCalls(this.database, systemClock, batch);
          this.#bus.publish(PUSH_SUBJECTS.folded, { source: batch.source, through });
        } catch (error) {
          if (!(error instanceof SourceGapError)) throw error;
        }
      },
      { ...options, concurrency: 1 },
    );
    this.#worker.on("failed", (_, error) => this.foldFailures.push(error));
  }

  async stopFolding(): Promise<void> {
    await this.#worker?.close();
    this.#worker = undefined;
  }

  /** The context of an operator's verb. */
  operatorContext(settings: Partial<ServiceSettings> = {}): ServiceContext {
    return {
      clock: systemClock,
      logger: silentLogger,
      actor: { kind: "customer", customerId: newId("customer"), sessionId: newId("session"), isOperator: true },
      requestId: newId("request"),
      database: this.database,
      db: this.database.db,
      isInTransaction: false,
      settings: {
        masterSecret: SECRET,
        publicApiUrl: "http://api.test",
        publicGatewayUrl: "http://gateway.test",
        publicWebUrl: "http://web.test",
        ...LIVE_SETTING_DEFAULTS,
        ...settings,
      },
    };
  }

  /** Publishes an event, as the relay does when a verb has committed. */
  announce(subject: string, data: Readonly<Record<string, unknown>>): void {
    const time = systemClock.now().toISOString();
    const envelope = { id: newId("event"), subject, version: 1, time, actor: "system:lab", requestId: "lab", data };
    this.#bus.publish(`${EVENT_SUBJECT_PREFIX}${subject}`, envelope);
  }

  newDirectory(): string {
    const directory = mkdtempSync(join(tmpdir(), "tollgate-gateway-"));
    this.#directories.push(directory);
    return directory;
  }

  /** A gateway in this process, ready if it has a database. Stopped with the lab, unless the test stops it. */
  async startGateway(
    overrides: Partial<GatewayEnv> = {},
    options: {
      readonly logger?: Logger;
      readonly stallMs?: number;
      readonly clock?: Clock;
    } = {},
  ): Promise<RunningGateway & { readonly url: string; readonly failures: readonly Error[] }> {
    const { redisUrl, redisPrefix, natsUrl, etcdUrl, etcdNamespace } = this.namespace;
    const failures: Error[] = [];
    const gateway = await createGateway({
      env: {
        NODE_ENV: "test",
        LOG_LEVEL: "silent",
        OTEL_TRACES_SAMPLER_ARG: 0,
        DATABASE_URL: this.databaseUrl,
        REDIS_URL: redisUrl,
        NATS_URL: natsUrl,
        ETCD_URL: etcdUrl,
        TOLLGATE_SECRET: SECRET,
        MASTER_KEYS: [],
        PUBLIC_API_URL: "http://api.test",
        GATEWAY_HOST: "127.0.0.1",
        GATEWAY_PORT: 0,
        GATEWAY_SPOOL_DIR: this.newDirectory(),
        GATEWAY_SPOOL_FSYNC: "off",
        QUEUE_PREFIX: redisPrefix,
        GATEWAY_SLICE_SECONDS: 3,
        FREE_CALL_OVER_CAP_PRICE_MICROS: 1,
        GATEWAY_UPSTREAM_CONNECTIONS: 64,
        TRUSTED_PROXY_HOPS: 0,
        GATEWAY_DRAIN_SECONDS: 8,
        GATEWAY_KEY_CACHE_MAX: 1_000,
        ...overrides,
      },
      clock: options.clock ?? systemClock,
      etcdNamespace,
      logger: options.logger ?? silentLogger,
      onFatal: (error) => failures.push(error),
      ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    });
    let stopping: Promise<void> | undefined;
    const running = {
      port: gateway.port,
      url: `http://127.0.0.1:${gateway.port}`,
      failures,
      stop: () => {
        stopping ??= gateway.stop();
        return stopping;
      },
    };
    this.#gateways.push(running);
    const hasDatabase = overrides.DATABASE_URL === undefined;
    while (hasDatabase && (await call(`${running.url}/readyz`)).status !== 200) await delay(20);
    return running;
  }

  /** Publishes an API whose endpoints run scripts: `/run/{script}` unless they say otherwise. */
  async publish(name: string, endpoints: readonly LabEndpoint[], upstreamUrls = [this.upstream.url]): Promise<void> {
    const { sql } = this.database;
    const apiId = newId("api");
    await sql`
      insert into apis (id, name, display_name, description, category, status, openapi, upstream_urls, revision, created_at, updated_at)
      values (${apiId}, ${name}, ${name}, 'of the lab', 'lab', 'published', '{}', ${sql.json(upstreamUrls)}, 1, now(), now())`;
    for (const endpoint of endpoints) {
      const id = newId("endpoint");
      await sql`
        insert into endpoints (id, api_id, name, method, path, free_per_month, unit, units_max, meter, is_charged_on_4xx,
                               timeout_ms, body_bytes_max, created_at, retired_at)
        values (${id}, ${apiId}, ${endpoint.name}, ${endpoint.method ?? "GET"}, ${endpoint.path ?? "/run/{script}"},
                ${endpoint.freePerMonth ?? 0}, ${endpoint.unit ?? "call"}, ${endpoint.unitsMax ?? 1}, ${endpoint.meter ?? "call"},
                ${endpoint.isChargedOn4xx ?? false}, ${endpoint.timeoutMs ?? 30_000},
                ${endpoint.bodyBytesMax ?? 10 * 1024 * 1024}, now(), ${endpoint.isRetired === true ? systemClock.now() : null})`;
      await sql`
        insert into endpoint_prices (endpoint_id, effective_from, price_micros, created_at)
        values (${id}, '2020-01-01', ${endpoint.priceMicros ?? PRICE}, now())`;
    }
  }

  /** A billing account with a project and a key. */
  async createAccount(options: LabKey = {}): Promise<LabAccount> {
    const { sql } = this.database;
    const billingAccountId = newId("billingAccount");
    const projectId = newId("project");
    const keyId = newId("key");
    const mode = options.mode ?? "live";
    const key = generateKeyText(mode);
    const tier = `lab-${billingAccountId}`;
    await sql`
      insert into tiers (id, display_name, rank, monthly_price_micros, free_calls_per_month, rate_limit_per_second, overage, credit_limit_micros)
      values (${tier}, 'Lab', 9, 0, ${options.freeCallsPerMonth ?? 0},
              ${options.tierRateLimitPerSecond ?? 1_000_000}, 'block', 0)`;
    await sql`
      insert into billing_accounts (id, name, tier_id, time_zone, created_at, updated_at)
      values (${billingAccountId}, 'lab', ${tier}, ${options.timeZone ?? "UTC"}, now(), now())`;
    await sql`
      insert into budgets (id, kind, billing_account_id, limit_amount, overdraft, used, held, created_at, updated_at)
      values (${walletBudgetId(billingAccountId)}, 'wallet', ${billingAccountId}, ${options.creditMicros ?? 1_000_000_000},
              0, 0, 0, now(), now())`;
    await sql`
      insert into projects (id, name, billing_account_id, monthly_spend_cap_micros, created_at, updated_at)
      values (${projectId}, 'lab', ${billingAccountId}, ${options.projectCapMicros ?? null}, now(), now())`;
    await sql`
      insert into keys (id, project_id, name, hash, start, mode, status, blocked_message, scopes, allowed_cidrs,
                        rate_limit_per_second, monthly_spend_cap_micros, root_key_id, created_by, created_at, updated_at, expires_at)
      values (${keyId}, ${projectId}, 'lab', ${hashKey(key)}, ${key.slice(0, 12)}, ${mode}, ${options.status ?? "active"},
              ${options.blockedMessage ?? null}, ${sql.json([...(options.scopes ?? ["*"])])},
              ${options.allowedCidrs === undefined ? null : sql.json([...options.allowedCidrs])},
              ${options.rateLimitPerSecond ?? null}, ${options.monthlySpendCapMicros ?? null}, ${keyId}, 'lab', now(), now(),
              ${options.expiresAt ?? null})`;
    return { key, keyId, projectId, billingAccountId };
  }

  /** The calls of an account that are folded, oldest first. */
  async callsOf(account: LabAccount): Promise<RecordedCall[]> {
    const rows = await this.database.sql`
      select id, outcome, status, units, charged_micros, request_bytes, response_bytes from calls
      where billing_account_id = ${account.billingAccountId} order by started_at, sequence`;
    return rows.map((row) => ({
      id: String(row["id"]),
      outcome: String(row["outcome"]),
      status: Number(row["status"]),
      units: Number(row["units"]),
      chargedMicros: Number(row["charged_micros"]),
      requestBytes: Number(row["request_bytes"]),
      responseBytes: Number(row["response_bytes"]),
    }));
  }

  /** What the database says of an account's wallet. */
  async walletOf(account: LabAccount): Promise<{ used: number; held: number }> {
    const [row] = await this.database.sql`
      select used, held from budgets where id = ${walletBudgetId(account.billingAccountId)}`;
    return { used: Number(row?.["used"]), held: Number(row?.["held"]) };
  }
}
