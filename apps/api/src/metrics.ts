import { toTollgateError } from "@tollgate/routers";
import type { StageState } from "@tollgate/services/usage";
import type { TRPCError } from "@trpc/server";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What Prometheus scrapes at `/metrics`. One per server, so that several in one process do not mix. */
export class ApiMetrics {
  readonly registry = new Registry();
  readonly #calls: Histogram<"procedure" | "transport" | "code">;

  constructor(openStreams: () => number, readPipeline: () => Promise<readonly StageState[]>) {
    collectDefaultMetrics({ register: this.registry });
    this.#calls = new Histogram({
      name: "tollgate_api_call_duration_seconds",
      help: "Calls of procedures by transport and outcome; `code` is OK or the error's code.",
      labelNames: ["procedure", "transport", "code"],
      buckets: LATENCY_BUCKETS_SECONDS,
      registers: [this.registry],
    });
    const { registry } = this;
    const waiting = new Gauge({
      name: "tollgate_pipeline_waiting",
      help: "What waits at a stage of the way from a call to the bill",
      labelNames: ["stage"] as const,
      registers: [registry],
    });
    new Gauge({
      name: "tollgate_pipeline_age_seconds",
      help: "How long something has waited at a stage without anything going on there; an alarm beyond some minutes",
      labelNames: ["stage"] as const,
      registers: [registry],
      // Asked of this process as well as of the workers, because it is they who may be away.
      async collect() {
        for (const { stage, ageMs, ...state } of await readPipeline().catch(() => [])) {
          this.set({ stage }, ageMs / 1_000);
          waiting.set({ stage }, state.waiting);
        }
      },
    });
    new Gauge({
      name: "tollgate_api_live_streams",
      help: "Streams that are open",
      registers: [this.registry],
      collect() {
        this.set(openStreams());
      },
    });
  }

  /** Notes a call that began at `startedAtMs` (of `performance.now()`) and has just been answered. */
  observeCall(transport: "trpc" | "rest", procedure: string, error: TRPCError | undefined, startedAtMs: number): void {
    const code = error === undefined ? "OK" : toTollgateError(error).code;
    this.#calls.observe({ procedure, transport, code }, (performance.now() - startedAtMs) / 1_000);
  }
}
