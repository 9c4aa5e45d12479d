import { newCallId } from "@tollgate/kernel";
import type { CallOutcome } from "@tollgate/services/metering";
import { formatFinishedCall } from "@tollgate/services/metering";
import type { Reservation } from "../admission/reserve.ts";
import type { RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import type { Gateway } from "../gateway.ts";
import type { Caller } from "../identity/caller.ts";
import type { SpoolWaiter } from "../spool/spool.ts";

const DELIVERED_STATUS = 200;

/**
 * One message of a client as a call: admitted before any of it goes on, on file before the last of it does, and recorded
 * exactly once, delivered or not.
 */
export class MessageCall implements SpoolWaiter {
  bytes = 0;
  readonly #gateway: Gateway;
  readonly #caller: Caller;
  readonly #endpoint: RoutedEndpoint;
  readonly #reservation: Reservation;
  readonly #holderId: string;
  readonly #startedAtMs: number;
  readonly #startedTick = performance.now();
  #deliver: (() => void) | undefined;
  #fail: (() => void) | undefined;

  constructor(gateway: Gateway, caller: Caller, endpoint: RoutedEndpoint, reservation: Reservation) {
    this.#gateway = gateway;
    this.#caller = caller;
    this.#endpoint = endpoint;
    this.#reservation = reservation;
    this.#holderId = gateway.holderId() ?? "";
    this.#startedAtMs = gateway.clock.nowMs();
    gateway.metrics.inFlight += 1;
  }

  /** The message is complete. @param deliver when it is on file @param fail when it cannot be: it must not go on */
  finish(deliver: () => void, fail: () => void): void {
    this.#deliver = deliver;
    this.#fail = fail;
    const { outcome, amount, slices, unitPriceMicros } = this.#reservation;
    const charged = outcome === "charged" ? amount : 0;
    const draws = amount > 0 ? slices.map((slice) => slice.drawText(amount)).join(",") : "";
    this.#record(outcome, DELIVERED_STATUS, { units: 1, unitPriceMicros, charged, draws });
  }

  /** The connection ended in the middle of it: nothing is charged. @param status of whoever ended it */
  abandon(status: number): void {
    const { amount, slices } = this.#reservation;
    for (const slice of slices) this.#gateway.budgets.giveBack(slice, amount, this.#holderId);
    this.#record("failed", status, { units: 0, unitPriceMicros: 0, charged: 0, draws: "" });
  }

  onRecorded(): void {
    this.#deliver?.();
  }

  onRecordFailed(): void {
    this.#fail?.();
  }

  #record(
    outcome: CallOutcome,
    status: number,
    cost: {
      readonly units: number;
      readonly unitPriceMicros: number;
      readonly charged: number;
      readonly draws: string;
    },
  ): void {
    const latencyMs = Math.round(performance.now() - this.#startedTick);
    const record = formatFinishedCall(this.#caller.recordSubject(this.#holderId, this.#endpoint.id), {
      id: newCallId(this.#startedAtMs),
      outcome,
      status,
      latencyMs,
      units: cost.units,
      unitPriceMicros: this.#reservation.outcome === "charged" ? cost.unitPriceMicros : 0,
      chargedMicros: cost.charged,
      requestBytes: this.bytes,
      responseBytes: 0,
      draws: cost.draws,
    });
    this.#gateway.metrics.inFlight -= 1;
    this.#gateway.metrics.countCall(outcome, latencyMs);
    this.#gateway.spool.append(this.#caller.partition, record, this);
  }
}
