import type { EventEnvelope } from "@tollgate/contracts";
import { EVENT_SUBJECT_PREFIX, eventEnvelope, foldedPush, PUSH_SUBJECTS, recallPush } from "@tollgate/contracts";
import type { Clock } from "@tollgate/kernel";
import type { PushBus } from "@tollgate/messaging";
import type { BudgetPool } from "./budgets/budgetPool.ts";
import type { CatalogueCache } from "./catalogue/catalogueCache.ts";
import type { Caller } from "./identity/caller.ts";
import type { KeyCache } from "./identity/keyCache.ts";
import type { SocketRegistry } from "./sockets/socketRegistry.ts";

/**
 * What a gateway hears from the others: changes that its caches must not outlive, batches that were folded, and budgets
 * that are wanted back. A heartbeat tells that events are flowing; without it the caches are trusted for seconds only.
 */
const HEARTBEAT_SILENCE_MS = 3_000;

/** What keeps something that an event may change. */
interface EventTargets {
  readonly keys: KeyCache<Caller>;
  readonly catalogue: CatalogueCache;
  readonly budgets: BudgetPool;
  readonly sockets: SocketRegistry;
}

export class PushListener {
  readonly #clock: Clock;
  readonly #bus: PushBus;
  #heardAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, bus: PushBus) {
    this.#clock = clock;
    this.#bus = bus;
  }

  /** Whether events are known to flow. */
  readonly isAlive = (): boolean =>
    this.#bus.isConnected && this.#clock.nowMs() - this.#heardAtMs < HEARTBEAT_SILENCE_MS;

  listen(
    targets: EventTargets & {
      readonly holderId: () => string | undefined;
      readonly onFolded: (source: string, through: number) => void;
    },
  ): void {
    const { keys, catalogue, budgets } = targets;
    const bus = this.#bus;
    bus.onConnected(() => {
      // What was said while we could not hear it is gone: nothing cached from before is certain.
      this.#heardAtMs = Number.NEGATIVE_INFINITY;
      keys.invalidateWhere(() => true);
      budgets.clearExhausted();
      void catalogue.refresh().catch(() => undefined);
    });
    bus.subscribe(PUSH_SUBJECTS.heartbeat, () => {
      // After a silence, changes may have been missed: what is cached from before is no longer certain.
      if (!this.isAlive()) keys.invalidateWhere(() => true);
      this.#heardAtMs = this.#clock.nowMs();
    });
    bus.subscribe(PUSH_SUBJECTS.folded, (data) => {
      const { source, through } = foldedPush.parse(data);
      targets.onFolded(source, through);
    });
    bus.subscribe(PUSH_SUBJECTS.recall, (data) => {
      const { holderId, budgetIds } = recallPush.parse(data);
      if (holderId !== targets.holderId()) budgets.onRecall(budgetIds);
    });
    bus.subscribe(PUSH_SUBJECTS.recalled, (data) => {
      const { holderId, budgetIds } = recallPush.parse(data);
      if (holderId !== targets.holderId()) budgets.onReturned(budgetIds);
    });
    bus.subscribe(`${EVENT_SUBJECT_PREFIX}>`, (data) => applyEvent(eventEnvelope.parse(data), targets));
  }
}

/** Takes out of the caches what an event may have changed. Events that change nothing here are ignored. */
function applyEvent(event: EventEnvelope, { keys, catalogue, budgets, sockets }: EventTargets): void {
  const { data } = event;
  const [domain] = event.subject.split(".", 1);
  switch (domain) {
    case "keys":
      if (typeof data["keyHash"] === "string") keys.invalidate(data["keyHash"]);
      break;
    case "projects":
      keys.invalidateWhere((record) => record.project.id === data["projectId"]);
      break;
    case "customers":
      // Everything else that people do to themselves touches no key, and what they do often must not cost a reload.
      if (/^customers\.(banned|unbanned|deleted|erased)$/.test(event.subject)) keys.invalidateWhere(() => true);
      break;
    case "billing":
      // A period's end makes an invoice for everybody, and none of them changes what a key may do.
      if (event.subject.startsWith("billing.invoice")) break;
      keys.invalidateWhere((record) => record.billingAccount.id === data["billingAccountId"]);
      // Another tier has other free calls and may lend.
      if (
        /^billing\.subscription(Changed|Lapsed)$/.test(event.subject) &&
        typeof data["billingAccountId"] === "string"
      ) {
        budgets.clearExhausted(data["billingAccountId"]);
      }
      break;
    case "admin":
      if (/^admin\.secret(Set|Deleted)$/.test(event.subject)) void catalogue.refresh().catch(() => undefined);
      break;
    case "catalog":
      void catalogue.refresh().catch(() => undefined);
      break;
    case "balance":
      if (typeof data["billingAccountId"] !== "string") break;
      budgets.clearExhausted(data["billingAccountId"]);
      sockets.askForMoney(data["billingAccountId"]);
      break;
  }
}
