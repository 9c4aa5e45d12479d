import type { Histogram, Registry } from "prom-client";

/** Upper bounds of the buckets in milliseconds; what takes longer than all of them is counted beyond the last. */
const BOUNDS_MS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/**
 * How long calls take, as a Prometheus histogram. On the path of a call an observation adds to two numbers; the buckets
 * are added up, and written the way Prometheus reads them, only when it asks.
 */
export class LatencyHistogram {
  readonly #counts = new Array<number>(BOUNDS_MS.length + 1).fill(0);
  #sumMs = 0;

  observe(latencyMs: number): void {
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && latencyMs > (BOUNDS_MS[bucket] as number)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sumMs += latencyMs;
  }

  /** Makes it a metric of a registry, in seconds as the convention wants it. */
  register(registry: Registry, name: string, help: string): void {
    const metric = {
      name,
      get: async () => ({ name, help, type: "histogram", aggregator: "sum", values: this.#values(name) }),
      reset: () => {
        this.#counts.fill(0);
        this.#sumMs = 0;
      },
    };
    // The registry asks a metric for no more than this; the library's own histogram would keep buckets of its own.
    registry.registerMetric(metric as unknown as Histogram);
  }

  #values(name: string): Awaited<ReturnType<Histogram<"le">["get"]>>["values"] {
    let total = 0;
    const buckets = this.#counts.map((count, index) => {
      total += count;
      const bound = BOUNDS_MS[index];
      return {
        labels: { le: bound === undefined ? "+Inf" : bound / 1_000 },
        value: total,
        metricName: `${name}_bucket`,
        exemplar: null,
      };
    });
    return [
      ...buckets,
      { labels: {}, value: this.#sumMs / 1_000, metricName: `${name}_sum` },
      { labels: {}, value: total, metricName: `${name}_count` },
    ];
  }
}
