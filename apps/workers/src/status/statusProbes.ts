import type { EtcdStore } from "@tollgate/config";
import type { StatusComponent } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import type { PushBus, Queues } from "@tollgate/messaging";
import type { Observation } from "@tollgate/services/status";
import type { WorkersEnv } from "../env.ts";

/** Asks each component for a sign of life; one that rejects, or takes too long, did not answer. */
export type StatusProbes = Readonly<Record<Exclude<StatusComponent, "selfTest">, () => Promise<unknown>>>;

const PROBE_TIMEOUT_MS = 5_000;

/** The probes of a worker: processes at their public addresses, servers through the worker's own connections. */
export const createStatusProbes = (parts: {
  readonly env: Pick<WorkersEnv, "PUBLIC_API_URL" | "PUBLIC_GATEWAY_URL">;
  readonly database: Database;
  readonly queues: Queues;
  readonly bus: PushBus;
  readonly etcd: EtcdStore;
}): StatusProbes => ({
  gateway: () => askHealth(parts.env.PUBLIC_GATEWAY_URL),
  api: () => askHealth(parts.env.PUBLIC_API_URL),
  // Whoever looks is one of them.
  workers: async () => undefined,
  database: async () => parts.database.sql`select 1`,
  redis: () => parts.queues.ping(),
  nats: () => assertSo(parts.bus.isConnected),
  etcd: () => assertSo(parts.etcd.status().isHealthy),
});

/** Looks at every component at once. */
export function observe(probes: StatusProbes, timeoutMs = PROBE_TIMEOUT_MS): Promise<Observation[]> {
  const components = Object.entries(probes) as [StatusComponent, () => Promise<unknown>][];
  return Promise.all(components.map(([component, ask]) => observeOne(component, ask, timeoutMs)));
}

async function observeOne(
  component: StatusComponent,
  ask: () => Promise<unknown>,
  timeoutMs: number,
): Promise<Observation> {
  const startedAtMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([ask(), tooLate]);
    return { component, hasAnswered: true, latencyMs: Math.round(performance.now() - startedAtMs) };
  } catch {
    return { component, hasAnswered: false, latencyMs: null };
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a process behind its public address says that it is alive. @throws Error when it does not */
async function askHealth(baseUrl: string): Promise<void> {
  const response = await fetch(new URL("/healthz", baseUrl), {
    redirect: "error",
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`It answered ${response.status}`);
}

async function assertSo(isSo: boolean): Promise<void> {
  if (!isSo) throw new Error("It is not");
}
