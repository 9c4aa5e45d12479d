import { delay, newId, silentLogger, TestClock } from "@tollgate/kernel";
import type { KeyRecord } from "@tollgate/services/keys";
import { generateKeyText } from "@tollgate/services/keys";
// Parts of the gateway, not its door: what is measured is one step of a call, and no caller has a use for it alone.
import { reserve } from "../../../apps/gateway/src/admission/reserve.ts";
import { BudgetPool } from "../../../apps/gateway/src/budgets/budgetPool.ts";
import { RoutedEndpoint } from "../../../apps/gateway/src/catalogue/catalogueCache.ts";
import { Caller } from "../../../apps/gateway/src/identity/caller.ts";
import { KeyCache } from "../../../apps/gateway/src/identity/keyCache.ts";
import { RateLimiter } from "../../../apps/gateway/src/limits/rateLimiter.ts";
import { CoreWatch } from "../processes/cpuTime.ts";
import type { KeyPlan, KeyResult } from "./keyPlan.ts";

/**
 * Admits calls of random keys, each of an account of its own with a warm wallet, as the gateway does: hash, look up,
 * refuse or not, reserve. Nothing is forwarded, so this is the decision alone.
 */
const plan = JSON.parse(process.argv[2] ?? "") as KeyPlan;
const CHUNK = 1_000;
const LOAD_CHUNK = 10_000;
const PRICE_MICROS = 1_000;
/** A thousand dollars: more than is spent here, and of the size of what gateways hold. */
const PLENTY = 1_000_000_000;
const SOCKET = { remoteAddress: "127.0.0.1" };
const IDLE_MS = 3_000;

const clock = new TestClock();
const nowMs = clock.nowMs();
const pool = new BudgetPool({
  clock,
  logger: silentLogger,
  sliceSeconds: 3,
  holderId: () => "gw_bench.1",
  onHolderClosed: () => fail("The leases are never given up"),
  ports: {
    lease: () => fail("Warm budgets ask for nothing"),
    recall: () => fail("Warm budgets recall nothing"),
    announceReturned: () => fail("Warm budgets return nothing"),
  },
});
const rates = new RateLimiter({
  store: {
    ask: () => fail("No call is forwarded"),
    beat: () => fail("Nobody beats"),
    leave: () => fail("Nobody leaves"),
  },
  name: "gw_bench",
  settings: () => ({
    keyRateLimitPerSecond: null,
    projectRateLimitPerSecond: null,
    rateLimitBurstSeconds: 1,
    tierRateLimitBurstSeconds: 1,
  }),
  logger: silentLogger,
  limitsMax: plan.keys + 1,
  tick: () => performance.now(),
  countOthers: async () => 0,
  delay,
});
const cache = new KeyCache<Caller>({
  clock,
  logger: silentLogger,
  entriesMax: plan.keys + 1,
  isPushAlive: () => true,
  ports: {
    load: async () => makeRecord(),
    toEntry: (record) => warm(new Caller(record, pool, rates.limitsOf(record))),
  },
});
const endpoint = new RoutedEndpoint({
  id: newId("endpoint"),
  apiId: newId("api"),
  name: "weather",
  method: "GET",
  path: "/weather",
  freePerMonth: 0,
  unit: "call",
  unitsMax: 1,
  meter: "call",
  isChargedOn4xx: false,
  timeoutMs: 30_000,
  bodyBytesMax: 0,
  retiredAt: null,
  prices: [{ effectiveFrom: new Date(0), priceMicros: BigInt(PRICE_MICROS) }],
} as unknown as ConstructorParameters<typeof RoutedEndpoint>[0]);

const texts = Array.from({ length: plan.keys }, () => generateKeyText("live"));
globalThis.gc?.();
const bytesBefore = process.memoryUsage().heapUsed + process.memoryUsage().external;
for (let start = 0; start < texts.length; start += LOAD_CHUNK) {
  await Promise.all(texts.slice(start, start + LOAD_CHUNK).map((text) => cache.load(text)));
}
globalThis.gc?.();
const bytesAfter = process.memoryUsage().heapUsed + process.memoryUsage().external;

// From all over memory: neighbours would share its pages.
const inUse = texts.filter((_, index) => index % Math.floor(plan.keys / plan.inUse) === 0);
await admit(plan.admissions);
const admissionNs: number[] = [];
const watch = new CoreWatch(process.pid);
for (let round = 0; round < plan.rounds; round += 1) admissionNs.push(await admit(plan.admissions));
const use = watch.stop();
const result: KeyResult = {
  ...(use.othersMs === undefined ? {} : { others: use.othersMs / use.elapsedMs }),
  keys: plan.keys,
  inUse: inUse.length,
  admissionNs,
  housekeepingShare: await measureIdle(),
  bytesPerKey: (bytesAfter - bytesBefore) / plan.keys,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);

/** @returns nanoseconds an admission. The event loop turns in between, as it does between calls. */
async function admit(admissions: number): Promise<number> {
  let elapsedMs = 0;
  for (let done = 0; done < admissions; done += CHUNK) {
    // As from a socket: a text of its own, which was just written. Picking it is not what is timed.
    const asked = Array.from({ length: CHUNK }, () => Buffer.from(randomText(), "latin1").toString("latin1"));
    const startedAtMs = performance.now();
    for (const text of asked) admitOne(text);
    elapsedMs += performance.now() - startedAtMs;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (elapsedMs * 1_000_000) / admissions;
}

function admitOne(text: string): void {
  const caller = cache.find(text, nowMs, SOCKET);
  if (caller === undefined || caller === null) fail("Every key is known");
  if (caller.refuse(nowMs) !== undefined) fail("No key is refused");
  const decision = reserve(pool, caller, endpoint, { freeCallOverCapPriceMicros: 1 }, nowMs);
  if (!("slices" in decision)) fail("Every call is admitted");
}

/** The share of a core that the gateway takes although nobody calls. */
async function measureIdle(): Promise<number> {
  const watch = new CoreWatch(process.pid);
  await delay(IDLE_MS);
  const { ranMs, elapsedMs } = watch.stop();
  return ranMs === undefined ? Number.NaN : ranMs / elapsedMs;
}

function warm(caller: Caller): Caller {
  caller.renew(nowMs);
  for (const slice of caller.money) {
    slice.remaining = PLENTY;
    slice.takenAtMs = nowMs;
  }
  return caller;
}

function makeRecord(): KeyRecord {
  const keyId = newId("key");
  return {
    keyId,
    rootKeyId: keyId,
    mode: "live",
    status: "active",
    blockedMessage: null,
    scopes: ["*"],
    allowedCidrs: null,
    rateLimitPerSecond: null,
    monthlySpendCapMicros: null,
    expiresAtMs: null,
    project: { id: newId("project"), isDeleted: false, monthlySpendCapMicros: null },
    billingAccount: { id: newId("billingAccount"), timeZone: "UTC" },
    tier: { id: "free", freeCallsPerMonth: 1_000, rateLimitPerSecond: 10, overage: "block" },
  };
}

function randomText(): string {
  return inUse[Math.floor(Math.random() * inUse.length)] ?? fail("There are keys");
}

function fail(message: string): never {
  throw new Error(message);
}
