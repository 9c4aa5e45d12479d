import type { Clock, Logger } from "@tollgate/kernel";
import { badRequest, conflict, delay, newId, notFound } from "@tollgate/kernel";
import { z } from "zod";
import type { NamedChange, SettingChange } from "./configHistory.ts";
import {
  CONFIG_HISTORY_PREFIX,
  CONFIG_PREFIX,
  historyKey,
  historyPrefix,
  nameOfHistoryKey,
  toChange,
} from "./configHistory.ts";
import type { Setting, SettingsTable, SettingValue } from "./settings.ts";
import type { SettingView } from "./settingValues.ts";
import { nameOfKey, SettingValues } from "./settingValues.ts";
import type { EtcdStore, PrefixWatch, StoreStatus } from "./store.ts";

/**
 * Settings that change everywhere within a second and without a restart. Each process keeps all of them in memory and
 * reads them there; etcd pushes changes. While etcd is away the last known values stay in force; a process that starts
 * during an outage takes those that were recorded elsewhere, and says so ({@link DynamicConfigStatus.source}). A stored
 * value that its schema does not take is logged and ignored: the last good one stays.
 */
const SET_ATTEMPTS_MAX = 5;
/** How long a start waits for the store before it looks for what was recorded. */
const RECORDED_AFTER_MS = 1_000;

export interface DynamicConfigOptions<Table extends SettingsTable> {
  readonly store: EtcdStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly table: Table;
  /** The last recorded change of each setting, for a start while the store is away. */
  readonly recorded?: () => Promise<readonly NamedChange[]>;
}

export interface DynamicConfigStatus extends StoreStatus {
  /** Where the values in force come from. Until something could be read it is the defaults. */
  readonly source: "etcd" | "recorded" | "defaults";
}

export interface ChangeSettingInput {
  readonly name: string;
  /** Who does it; kept in the history. */
  readonly actor: string;
  readonly requestId: string;
  /** The revision that the caller has seen: another one is a conflict. */
  readonly expectedRevision?: number | undefined;
}

export interface SetSettingInput extends ChangeSettingInput {
  /** JSON, as it is stored: micros as a decimal string. */
  readonly value: unknown;
}

/** What a change did. */
export interface ChangedSetting {
  readonly change: SettingChange;
  /** The value before, as it is stored; the default if nobody had set one. */
  readonly before: unknown;
}

export class DynamicConfig<Table extends SettingsTable> {
  readonly #store: EtcdStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #table: Table;
  readonly #values: SettingValues<Table>;
  readonly #storedListeners = new Set<() => void>();
  readonly #watch: PrefixWatch;
  readonly #closing = new AbortController();
  readonly #known = new AbortController();
  #source: DynamicConfigStatus["source"] = "defaults";

  constructor(options: DynamicConfigOptions<Table>) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#table = options.table;
    this.#values = new SettingValues(options.table, options.logger);
    this.#watch = options.store.watchPrefix(CONFIG_PREFIX, {
      onState: (entries) => {
        this.#values.replaceAll(entries);
        this.#becomeKnown("etcd");
        this.#announceStored();
      },
      onPut: (entry) => {
        this.#values.accept(nameOfKey(entry.key), entry.value, entry.revision);
        this.#announceStored();
      },
      onDelete: (key) => this.#values.forget(nameOfKey(key)),
    });
    if (options.recorded !== undefined) void this.#takeRecorded(options.recorded);
  }

  /** The value in force, from memory. */
  get<Name extends keyof Table & string>(name: Name): SettingValue<Table, Name> {
    return this.#values.get(name);
  }

  /** Every setting with its value in force, for operators. */
  list(): readonly SettingView[] {
    return this.#values.list();
  }

  status(): DynamicConfigStatus {
    return { ...this.#watch.status(), source: this.#source };
  }

  /** Whether the values in force are more than a guess. */
  get isKnown(): boolean {
    return this.#source !== "defaults";
  }

  /** Resolves with true once the values are known, from the store or recorded, with false when that takes longer. */
  async waitUntilKnown(timeoutMs: number): Promise<boolean> {
    if (!this.isKnown) await delay(timeoutMs, this.#known.signal);
    return this.isKnown;
  }

  /** Calls the listener with each new value. Returns the function that stops it. */
  onChange<Name extends keyof Table & string>(
    name: Name,
    listener: (value: SettingValue<Table, Name>, previous: SettingValue<Table, Name>) => void,
  ): () => void {
    return this.#values.onChange(name, listener);
  }

  /** Calls the listener whenever the store has told something, at the start as well. Returns the function that stops it. */
  onStored(listener: () => void): () => void {
    this.#storedListeners.add(listener);
    if (this.#source === "etcd") listener();
    return () => this.#storedListeners.delete(listener);
  }

  /**
   * Puts a value in force everywhere and writes its row of history with it, in one transaction.
   * @throws TollgateError NOT_FOUND for an unknown setting, BAD_REQUEST with issues for a value it does not take,
   *   CONFLICT `setting_changed` at another revision than the expected one, `setting_contended` if others kept changing
   *   it meanwhile, UNAVAILABLE while the store is away
   */
  async set(input: SetSettingInput): Promise<ChangedSetting> {
    return this.#write(input, input.value, undefined);
  }

  /**
   * What a setting has been, newest first.
   * @throws TollgateError NOT_FOUND for an unknown setting, UNAVAILABLE while the store is away
   */
  async history(name: string): Promise<readonly SettingChange[]> {
    this.#definition(name);
    const entries = await this.#store.list(historyPrefix(name));
    return entries.flatMap(({ value }) => toChange(value) ?? []).sort((a, b) => b.revision - a.revision);
  }

  /** Every change of every setting that the store has. @throws TollgateError UNAVAILABLE while the store is away */
  async changes(): Promise<readonly NamedChange[]> {
    const entries = await this.#store.list(CONFIG_HISTORY_PREFIX);
    return entries.flatMap(({ key, value }) => {
      const change = toChange(value);
      return change === undefined ? [] : { name: nameOfHistoryKey(key), change };
    });
  }

  /**
   * Gives a store that lost its data what it had. What is there stays.
   * @throws TollgateError UNAVAILABLE while the store is away
   */
  async restore(changes: readonly NamedChange[]): Promise<void> {
    const latest = new Map<string, SettingChange>();
    for (const { name, change } of changes) if (isLater(change, latest.get(name))) latest.set(name, change);
    const put = [...latest].map(([name, change]) => ({ key: CONFIG_PREFIX + name, value: JSON.stringify(change) }));
    // All at once, because who looks in between would take the rest for defaults.
    const { isCommitted } = await this.#store.transact({ expect: put.map(({ key }) => ({ key, revision: 0n })), put });
    if (!isCommitted) for (const { key, value } of put) await this.#store.compareAndSet(key, 0n, value);
    // The past comes last: a setting that has one is taken for one that was given back.
    for (const { name, change } of changes) {
      await this.#store.compareAndSet(historyKey(name, change.revision), 0n, JSON.stringify(change));
    }
  }

  /**
   * Puts the value of an earlier revision in force again, as a new revision; revision 0 is the default.
   * @throws TollgateError as {@link set} does, and NOT_FOUND for an unknown revision
   */
  async rollback(input: ChangeSettingInput & { readonly revision: number }): Promise<ChangedSetting> {
    const definition = this.#definition(input.name);
    const value =
      input.revision === 0
        ? z.encode(definition.schema, definition.default)
        : await this.#valueAt(input.name, input.revision);
    return this.#write(input, value, input.revision);
  }

  close(): void {
    this.#closing.abort();
    this.#watch.close();
    this.#values.clear();
    this.#storedListeners.clear();
  }

  async #valueAt(name: string, revision: number): Promise<unknown> {
    const found = (await this.history(name)).find((change) => change.revision === revision);
    if (found === undefined) throw notFound("setting revision");
    return found.value;
  }

  async #write(input: ChangeSettingInput, json: unknown, rolledBackTo: number | undefined): Promise<ChangedSetting> {
    const { name, actor, requestId, expectedRevision } = input;
    const definition = this.#definition(name);
    const value = encodeValue(name, definition, json);
    for (let attempt = 1; attempt <= SET_ATTEMPTS_MAX; attempt += 1) {
      const heldRevision = this.#values.storeRevisionOf(name);
      const entry = await this.#store.get(CONFIG_PREFIX + name);
      if ((entry?.revision ?? 0n) < heldRevision) this.#values.startAnew();
      const current = entry === undefined ? undefined : toChange(entry.value);
      const revision = current?.revision ?? (await this.history(name))[0]?.revision ?? 0;
      if (expectedRevision !== undefined && expectedRevision !== revision) {
        throw conflict(`${name} is at revision ${revision} by now`, { reason: "setting_changed" });
      }
      const change: SettingChange = {
        id: newId("settingChange"),
        revision: revision + 1,
        value,
        at: this.#clock.now().toISOString(),
        actor,
        requestId,
        ...(rolledBackTo === undefined ? {} : { rolledBackTo }),
      };
      const text = JSON.stringify(change);
      const row = historyKey(name, change.revision);
      const { isCommitted, revision: storeRevision } = await this.#store.transact({
        expect: [
          { key: CONFIG_PREFIX + name, revision: entry?.revision ?? 0n },
          { key: row, revision: 0n },
        ],
        put: [
          { key: CONFIG_PREFIX + name, value: text },
          { key: row, value: text },
        ],
      });
      if (!isCommitted) continue;
      // The watch brings it too; whoever set it reads it back at once.
      this.#values.accept(name, text, storeRevision);
      return { change, before: current?.value ?? z.encode(definition.schema, definition.default) };
    }
    throw conflict(`Others are changing ${name} at the same time`, { reason: "setting_contended" });
  }

  #definition(name: string): Setting {
    const definition = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (definition === undefined) throw notFound("setting");
    return definition;
  }

  async #takeRecorded(read: () => Promise<readonly NamedChange[]>): Promise<void> {
    while (!this.#closing.signal.aborted && !this.isKnown) {
      if (await this.#watch.waitUntilSynced(RECORDED_AFTER_MS)) return;
      try {
        const recorded = await read();
        if (this.#closing.signal.aborted || this.isKnown) return;
        for (const { name, change } of recorded) this.#values.accept(name, JSON.stringify(change), 0n);
        this.#becomeKnown("recorded");
        this.#logger.warn("etcd does not answer: the settings are those that were recorded last");
      } catch (error) {
        this.#logger.warn({ err: error }, "neither etcd nor the recorded settings can be read; trying again");
      }
    }
  }

  #becomeKnown(source: "etcd" | "recorded"): void {
    this.#source = source;
    this.#known.abort();
  }

  #announceStored(): void {
    for (const listener of this.#storedListeners) listener();
  }
}

/** Whether a change came after another. Time says so first: a store that lost its data counts a setting's revisions anew. */
function isLater(change: SettingChange, other: SettingChange | undefined): boolean {
  if (other === undefined || change.at !== other.at) return other === undefined || change.at > other.at;
  return change.revision > other.revision;
}

/** The JSON that is stored for a value. @throws TollgateError BAD_REQUEST with the issues */
function encodeValue(name: string, definition: Setting, json: unknown): SettingChange["value"] {
  const decoded = z.safeDecode(definition.schema, json as never);
  if (!decoded.success) {
    const issues = decoded.error.issues.map(({ path, message }) => ({ path: ["value", ...path].join("."), message }));
    throw badRequest(`Not a value for ${name}`, { issues });
  }
  return z.encode(definition.schema, decoded.data) as SettingChange["value"];
}
