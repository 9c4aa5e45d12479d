import { Redis } from "ioredis";

/**
 * The windows of rate limits in Redis, shared by everyone who lets calls pass. A limit is a hash of slots: how many calls
 * were granted in each short stretch of Redis' own time. One script looks at all limits of a call and grants from all of
 * them or from none.
 *
 * What is granted may be used for a moment ({@link RATE_TOKEN_LIFE_MS}), and a slot is counted until nothing that was
 * granted in it can have been used within the window. So calls in any window, as they pass, are never more than the limit.
 *
 * Redis may lose everything. An epoch, kept beside the windows, is lost with them; while a new one is young nothing is
 * granted, and everyone puts back what it remembers of its own calls.
 */
export const RATE_TOKEN_LIFE_MS = 75;

/** How long a new epoch waits for what others remember. */
export const RATE_SEEDING_MS = 500;

/** A window is cut into this many slots; a caller at the limit gets at least 90% of it. */
const SLOTS_PER_WINDOW = 40;

/** Who has not been heard of for so long is not counted as there. */
const ALIVE_MS = 3_000;

const ANSWER_TIMEOUT_MS = 500;

/** How a window of some length is kept. */
export interface RateWindow {
  readonly slotMs: number;
  /** How many slots, with the present one, are counted. */
  readonly slots: number;
}

export function rateWindowOf(seconds: number): RateWindow {
  const slotMs = (seconds * 1_000) / SLOTS_PER_WINDOW;
  return { slotMs, slots: SLOTS_PER_WINDOW + Math.ceil(RATE_TOKEN_LIFE_MS / slotMs) + 1 };
}

/** What is asked of one limit. */
export interface RateClaim {
  readonly id: string;
  readonly quota: number;
  readonly window: RateWindow;
  /** Tokens that the asker has left of it. */
  readonly held: number;
  /** Tokens beyond those that calls wait for. */
  readonly spare: number;
  /** What is to be added to slots, or taken back from them: calls that passed uncounted, tokens that were not used. */
  readonly corrections: readonly (readonly [slot: number, calls: number])[];
}

export interface RateAsk {
  /** The epoch that the asker knows. */
  readonly epoch: string;
  /** Calls that wait for a token of each limit; 0 to correct only. */
  readonly waiting: number;
  readonly claims: readonly RateClaim[];
}

export interface RateGrant {
  readonly granted: number;
  /** Calls that could still be granted. */
  readonly left: number;
  /** Milliseconds until more can be, where nothing is left. */
  readonly retryMs: number;
}

export type RateAnswer =
  /** The windows were lost since: they are to be filled with what is remembered, under this epoch. */
  | { readonly kind: "epoch"; readonly nowMs: number; readonly epoch: string }
  /** The corrections were taken; nothing is granted for `leftMs` more. */
  | { readonly kind: "seeding"; readonly nowMs: number; readonly leftMs: number }
  | { readonly kind: "granted"; readonly nowMs: number; readonly grants: readonly RateGrant[] };

export interface RateBeat {
  readonly nowMs: number;
  readonly epoch: string;
  /** How many have beaten lately. */
  readonly alive: number;
}

/** Where rate limits are kept. */
export interface RateStore {
  /** @throws Error when there is no answer: what was asked may or may not have been done */
  ask(ask: RateAsk): Promise<RateAnswer>;
  /** Says that somebody is there. @throws Error when there is no answer */
  beat(name: string): Promise<RateBeat>;
  /** Says that somebody has gone. @throws Error when there is no answer */
  leave(name: string): Promise<void>;
}

// Both scripts read the epoch, or begin one. A number goes to text by %.0f: tostring would round it.
const READ_EPOCH = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = string.format('%.0f:%s%s', now, time[1], time[2])
  redis.call('SET', KEYS[1], epoch)
end
`;

const BEAT_SCRIPT = `${READ_EPOCH}
local alive_ms = tonumber(ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - alive_ms)
redis.call('PEXPIRE', KEYS[2], alive_ms)
return {now, epoch, redis.call('ZCARD', KEYS[2])}
`;

// ARGV: epoch, seeding ms, waiting; then for each limit: quota, slot ms, slots, held, spare, n, n × (slot, calls).
const ASK_SCRIPT = `${READ_EPOCH}
if epoch ~= ARGV[1] then return {0, now, epoch} end
local waiting = tonumber(ARGV[3])
local passing = waiting
local limits = {}
local at = 4
for i = 2, #KEYS do
  local quota, slot_ms, slots = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local held, spare, corrections = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  at = at + 6
  local slot = math.floor(now / slot_ms)
  local counts, changed = {}, {}
  local fields = redis.call('HGETALL', KEYS[i])
  for f = 1, #fields, 2 do
    local j, n = tonumber(fields[f]), tonumber(fields[f + 1])
    -- Of a clock that has stepped back since: counted as if it were of now.
    if j > slot then changed[j] = 0; j = slot; changed[j] = true end
    if j <= slot - slots then changed[j] = 0 else counts[j] = (counts[j] or 0) + n end
  end
  for c = 1, corrections do
    local j, n = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    at = at + 2
    if j > slot then j = slot end
    if j > slot - slots then counts[j] = math.max(0, (counts[j] or 0) + n); changed[j] = true end
  end
  local used, oldest = 0, slot
  for j, n in pairs(counts) do
    used = used + n
    if n > 0 and j < oldest then oldest = j end
  end
  local free = math.max(0, quota - used)
  limits[i] = {free = free, held = held, spare = spare, slot = slot, counts = counts, changed = changed,
    retry = math.max(1, (oldest + slots) * slot_ms - now), keep = (slots + 1) * slot_ms}
  passing = math.min(passing, held + free)
end
local age = now - tonumber(string.match(epoch, '^%d+'))
local is_seeding = waiting > 0 and age >= 0 and age < tonumber(ARGV[2])
local answer = {2, now}
for i = 2, #KEYS do
  local limit = limits[i]
  local granted = 0
  if waiting > 0 and not is_seeding then
    granted = math.max(0, passing - limit.held)
    if passing == waiting then granted = math.min(limit.free, granted + limit.spare) end
  end
  if granted > 0 then
    limit.counts[limit.slot] = (limit.counts[limit.slot] or 0) + granted
    limit.changed[limit.slot] = true
  end
  local touched = false
  for j, to in pairs(limit.changed) do
    touched = true
    local field = string.format('%.0f', j)
    if to == 0 or limit.counts[j] == 0 then redis.call('HDEL', KEYS[i], field)
    else redis.call('HSET', KEYS[i], field, string.format('%.0f', limit.counts[j])) end
  end
  if touched then redis.call('PEXPIRE', KEYS[i], math.ceil(limit.keep)) end
  answer[#answer + 1] = granted
  answer[#answer + 1] = limit.free - granted
  answer[#answer + 1] = math.ceil(limit.retry)
end
if is_seeding then return {1, now, tonumber(ARGV[2]) - age} end
return answer
`;

type Script = (...args: (string | number)[]) => Promise<(number | string)[]>;

export interface RedisRateStoreOptions {
  readonly redisUrl: string;
  /** Keeps several deployments, or several test suites, apart in one Redis. */
  readonly prefix: string;
  readonly onError: (error: Error) => void;
}

/** Rate limits in Redis, over a connection of their own: one that hangs fails within half a second and holds nobody up. */
export class RedisRateStore implements RateStore {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #ask: Script;
  readonly #beat: Script;

  constructor({ redisUrl, prefix, onError }: RedisRateStoreOptions) {
    this.#prefix = `${prefix}:rates`;
    this.#redis = new Redis(redisUrl, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: ANSWER_TIMEOUT_MS,
      connectTimeout: 2_000,
      retryStrategy: (attempt) => Math.min(50 * attempt, 200),
    });
    this.#redis.on("error", onError);
    this.#redis.defineCommand("rateAsk", { lua: ASK_SCRIPT });
    this.#redis.defineCommand("rateBeat", { lua: BEAT_SCRIPT, numberOfKeys: 2 });
    const scripts = this.#redis as unknown as { rateAsk: Script; rateBeat: Script };
    this.#ask = (...args) => scripts.rateAsk(...args);
    this.#beat = (...args) => scripts.rateBeat(...args);
  }

  async ask({ epoch, waiting, claims }: RateAsk): Promise<RateAnswer> {
    const keys = claims.map(({ id }) => `${this.#prefix}:${id}`);
    const args: (string | number)[] = [epoch, RATE_SEEDING_MS, waiting];
    for (const { quota, window, held, spare, corrections } of claims) {
      args.push(quota, window.slotMs, window.slots, held, spare, corrections.length);
      for (const [slot, calls] of corrections) args.push(slot, calls);
    }
    const answer = await this.#ask(keys.length + 1, this.#epochKey, ...keys, ...args);
    const [kind, nowMs] = [Number(answer[0]), Number(answer[1])];
    if (kind === 0) return { kind: "epoch", nowMs, epoch: String(answer[2]) };
    if (kind === 1) return { kind: "seeding", nowMs, leftMs: Number(answer[2]) };
    const grants = claims.map((_, index) => {
      const [granted, left, retryMs] = answer.slice(2 + index * 3).map(Number);
      return { granted: granted ?? 0, left: left ?? 0, retryMs: retryMs ?? 0 };
    });
    return { kind: "granted", nowMs, grants };
  }

  async beat(name: string): Promise<RateBeat> {
    const [nowMs, epoch, alive] = await this.#beat(this.#epochKey, this.#aliveKey, name, ALIVE_MS);
    return { nowMs: Number(nowMs), epoch: String(epoch), alive: Number(alive) };
  }

  async leave(name: string): Promise<void> {
    await this.#redis.zrem(this.#aliveKey, name);
  }

  close(): void {
    this.#redis.disconnect();
  }

  get #aliveKey(): string {
    return `${this.#prefix}:alive`;
  }

  get #epochKey(): string {
    return `${this.#prefix}:epoch`;
  }
}
