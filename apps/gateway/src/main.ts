import { createLogger, systemClock } from "@tollgate/kernel";
import { startTracing } from "@tollgate/telemetry";
import { createGateway } from "./createGateway.ts";
import { gatewayEnv } from "./env.ts";

const env = gatewayEnv();
const logger = createLogger({ name: "gateway", level: env.LOG_LEVEL });
const tracing = startTracing({
  service: "tollgate-gateway",
  endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
  sampleRatio: env.OTEL_TRACES_SAMPLER_ARG,
});
let isStopping = false;

const gateway = await createGateway({
  env,
  logger,
  clock: systemClock,
  onFatal: () => void stop(1),
});

async function stop(exitCode: number): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  await gateway.stop();
  await tracing.stop();
  process.exit(exitCode);
}

process.on("SIGTERM", () => void stop(0));
process.on("SIGINT", () => void stop(0));
