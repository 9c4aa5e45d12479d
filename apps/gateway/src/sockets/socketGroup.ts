import type { Refusal } from "../admission/refusal.ts";
import { REFUSALS, scopeRefusal } from "../admission/refusal.ts";
import type { Reservation } from "../admission/reserve.ts";
import { reserve } from "../admission/reserve.ts";
import { waitForBudgets } from "../admission/waitForBudgets.ts";
import type { RoutedApi, RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import type { Gateway } from "../gateway.ts";
import type { Caller } from "../identity/caller.ts";
import type { RateTicket } from "../limits/callLimits.ts";
import type { SocketRelay } from "./socketRelay.ts";

/** How often an account is asked for whether it could still pay, if nothing says before that it cannot. */
const MONEY_CHECK_MS = 30_000;
/** How long sockets stay open while their key cannot be looked up: as long as one is trusted without news of it. */
const UNCERTAIN_MS = 10_000;

/**
 * The open sockets of one key at one endpoint. What opened them is asked again as long as they are open: whether the key
 * still stands, the endpoint is still sold, and another call could still be paid.
 */
export class SocketGroup {
  readonly relays = new Set<SocketRelay>();
  caller: Caller;
  api: RoutedApi;
  endpoint: RoutedEndpoint;
  readonly #gateway: Gateway;
  readonly #key: string;
  #isLoading = false;
  #uncertainSinceMs: number | undefined;
  #isAskingForMoney = false;
  #moneyDueMs: number;

  constructor(gateway: Gateway, key: string, caller: Caller, api: RoutedApi, endpoint: RoutedEndpoint) {
    this.#gateway = gateway;
    this.#key = key;
    this.caller = caller;
    this.api = api;
    this.endpoint = endpoint;
    this.#moneyDueMs = gateway.clock.nowMs() + MONEY_CHECK_MS;
  }

  /** The account's money has moved. */
  askForMoneySoon(): void {
    this.#moneyDueMs = 0;
  }

  check(nowMs: number): void {
    const entry = this.#gateway.keys.find(this.#key, nowMs, this);
    if (entry === null) {
      this.#close(REFUSALS.unknownKey);
      return;
    }
    if (entry === undefined) this.#load(nowMs);
    else this.#standing(entry, nowMs);
  }

  /** Sets aside what a message costs, or says why it may not pass. Nothing is awaited when nothing must be. */
  admit(address: string | undefined, nowMs: number): Reservation | Refusal | Promise<Reservation | Refusal> {
    const { caller, endpoint } = this;
    const gateway = this.#gateway;
    if (gateway.spool.failure !== undefined) return REFUSALS.spool;
    if (gateway.settings.maintenance) return REFUSALS.maintenance;
    const standing = caller.refuse(nowMs) ?? caller.refuseAddress(address);
    if (standing !== undefined) return standing;
    const ticket = caller.limits.admit(gateway.rates.tick());
    if (ticket !== undefined) return "code" in ticket ? ticket : this.#pay(caller, endpoint, ticket);
    return gateway.rates
      .wait(caller.limits)
      .then((ticket) => ("code" in ticket ? ticket : this.#pay(caller, endpoint, ticket)));
  }

  #pay(
    caller: Caller,
    endpoint: RoutedEndpoint,
    ticket: RateTicket,
  ): Reservation | Refusal | Promise<Reservation | Refusal> {
    const gateway = this.#gateway;
    const decision = reserve(gateway.budgets, caller, endpoint, gateway.settings, gateway.clock.nowMs());
    if ("slices" in decision) return decision;
    const settle = (settled: Reservation | Refusal): Reservation | Refusal => {
      if (!("slices" in settled)) ticket.giveBack();
      return settled;
    };
    return "slice" in decision ? waitForBudgets(gateway, caller, endpoint, decision).then(settle) : settle(decision);
  }

  /** What is known of the key, the endpoint and the money, at this moment. */
  #standing(caller: Caller, nowMs: number): void {
    this.#uncertainSinceMs = undefined;
    this.caller = caller;
    const refusal = this.#routeRefusal();
    if (refusal !== undefined) {
      this.#close(refusal);
      return;
    }
    for (const relay of this.relays) {
      const standing = caller.refuse(nowMs) ?? caller.refuseAddress(relay.address);
      if (standing !== undefined) relay.refuse(standing);
    }
    if (this.relays.size > 0 && (nowMs >= this.#moneyDueMs || this.#isShort(nowMs))) void this.#askForMoney(nowMs);
  }

  #routeRefusal(): Refusal | undefined {
    const api = this.#gateway.catalogue.find(this.api.name);
    const endpoint = api?.endpoints.get(this.endpoint.name);
    if (api === undefined || endpoint === undefined || api.isRemoved || endpoint.isRetired) return REFUSALS.retired;
    this.api = api;
    this.endpoint = endpoint;
    return this.caller.hasScope(api.name) ? undefined : scopeRefusal(api.name);
  }

  /** Somebody was refused for want of this money a moment ago. */
  #isShort(nowMs: number): boolean {
    const amount = this.endpoint.unitPrice(nowMs) * this.endpoint.unitsMax;
    return amount > 0 && this.caller.money.some((slice) => slice.isExhausted(amount, nowMs));
  }

  /** Sets aside what one more call would cost, and gives it back. */
  async #askForMoney(nowMs: number): Promise<void> {
    if (this.#isAskingForMoney) return;
    this.#isAskingForMoney = true;
    this.#moneyDueMs = nowMs + MONEY_CHECK_MS;
    const { caller, endpoint } = this;
    const gateway = this.#gateway;
    const holderId = gateway.holderId() ?? "";
    let decision = reserve(gateway.budgets, caller, endpoint, gateway.settings, nowMs);
    if ("slice" in decision) decision = await waitForBudgets(gateway, caller, endpoint, decision);
    this.#isAskingForMoney = false;
    if ("slices" in decision) {
      for (const slice of decision.slices) gateway.budgets.giveBack(slice, decision.amount, holderId);
    } else if (decision === REFUSALS.budgets) {
      // Not an answer. Nothing is being used, so there is time to ask again.
      this.#moneyDueMs = Math.min(this.#moneyDueMs, nowMs + UNCERTAIN_MS);
    } else {
      this.#close(decision);
    }
  }

  #load(nowMs: number): void {
    this.#uncertainSinceMs ??= nowMs;
    if (nowMs - this.#uncertainSinceMs >= UNCERTAIN_MS) {
      this.#close(REFUSALS.keys);
      return;
    }
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#gateway.keys
      .load(this.#key)
      .then(
        (caller) => {
          if (caller === undefined) this.#close(REFUSALS.unknownKey);
          else this.#standing(caller, this.#gateway.clock.nowMs());
        },
        (error: unknown) => this.#gateway.logger.warn({ err: error }, "the key of open sockets cannot be loaded"),
      )
      .finally(() => {
        this.#isLoading = false;
      });
  }

  #close(refusal: Refusal): void {
    for (const relay of this.relays) relay.refuse(refusal);
  }
}
