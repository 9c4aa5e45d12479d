import { createLogger, systemClock } from "@tollgate/kernel";
import { startTracing } from "@tollgate/telemetry";
import { createWorkers } from "./createWorkers.ts";
import { workersEnv } from "./env.ts";

const env = workersEnv();
const logger = createLogger({ name: "workers", level: env.LOG_LEVEL });
const tracing = startTracing({
  service: "tollgate-workers",
  endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
  sampleRatio: env.OTEL_TRACES_SAMPLER_ARG,
});
const workers = await createWorkers({ env, logger, clock: systemClock });
let isStopping = false;

async function stop(): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  await workers.stop();
  await tracing.stop();
  process.exit(0);
}

process.on("SIGTERM", () => void stop());
process.on("SIGINT", () => void stop());
