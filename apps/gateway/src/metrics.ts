import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { LatencyHistogram } from "./latencyHistogram.ts";

/**
 * Counters of the gateway. On the path of a call they are plain numbers; Prometheus reads them when it asks, because its
 * labelled counters cost more than deciding a call.
 */
export class GatewayMetrics {
  readonly registry = new Registry();
  readonly callsByOutcome = new Map<string, number>();
  readonly refusalsByReason = new Map<string, number>();
  inFlight = 0;
  spoolUnfolded: () => number = () => 0;
  openSockets: () => number = () => 0;
  rates: { readonly asked: number; readonly isAlone: boolean } = { asked: 0, isAlone: false };
  readonly #latency = new LatencyHistogram();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    exposeMap(
      this.registry,
      "tollgate_gateway_calls_total",
      "Calls that were recorded",
      "outcome",
      this.callsByOutcome,
    );
    exposeMap(
      this.registry,
      "tollgate_gateway_refusals_total",
      "Calls that were refused",
      "reason",
      this.refusalsByReason,
    );
    this.#gauge("tollgate_gateway_calls_in_flight", "Calls that are being forwarded", () => this.inFlight);
    this.#gauge("tollgate_gateway_spool_unfolded", "Calls on file that are not known to be folded", () =>
      this.spoolUnfolded(),
    );
    this.#gauge("tollgate_gateway_sockets_open", "WebSockets that are open", () => this.openSockets());
    this.#gauge("tollgate_gateway_rates_alone", "1 while rate limits are kept without the other gateways", () =>
      this.rates.isAlone ? 1 : 0,
    );
    const rates = () => this.rates.asked;
    new Counter({
      name: "tollgate_gateway_rate_questions_total",
      help: "Round trips to the shared windows of rate limits that calls waited for",
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(rates());
      },
    });
    this.#latency.register(
      this.registry,
      "tollgate_gateway_call_duration_seconds",
      "From the request's head to the last byte of the answer",
    );
  }

  countCall(outcome: string, latencyMs: number): void {
    this.callsByOutcome.set(outcome, (this.callsByOutcome.get(outcome) ?? 0) + 1);
    this.#latency.observe(latencyMs);
  }

  countRefusal(reason: string): void {
    this.refusalsByReason.set(reason, (this.refusalsByReason.get(reason) ?? 0) + 1);
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }
}

function exposeMap(registry: Registry, name: string, help: string, label: string, values: Map<string, number>): void {
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, count] of values) this.inc({ [label]: value }, count);
    },
  });
}
