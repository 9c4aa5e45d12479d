import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { LatencyHistogram } from "./latencyHistogram.ts";

it("is read by Prometheus as a cumulative histogram in seconds", async () => {
  const registry = new Registry();
  const histogram = new LatencyHistogram();
  histogram.register(registry, "calls_seconds", "How long calls take");
  for (const latencyMs of [0, 1, 3, 40_000]) histogram.observe(latencyMs);
  const lines = (await registry.metrics()).split("\n");
  expect(lines).toContain("# TYPE calls_seconds histogram");
  expect(lines).toContain('calls_seconds_bucket{le="0.001"} 2');
  expect(lines).toContain('calls_seconds_bucket{le="0.005"} 3');
  expect(lines).toContain('calls_seconds_bucket{le="30"} 3');
  expect(lines).toContain('calls_seconds_bucket{le="+Inf"} 4');
  expect(lines).toContain("calls_seconds_sum 40.004");
  expect(lines).toContain("calls_seconds_count 4");
});

it("begins anew, sum and all, when its registry is reset", async () => {
  const registry = new Registry();
  const histogram = new LatencyHistogram();
  histogram.register(registry, "calls_seconds", "How long calls take");
  histogram.observe(500);
  registry.resetMetrics();
  const lines = (await registry.metrics()).split("\n");
  expect(lines).toContain("calls_seconds_sum 0");
  expect(lines).toContain("calls_seconds_count 0");
});
