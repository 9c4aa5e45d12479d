import { once } from "node:events";
import type { Server } from "node:http";
import type { Logger } from "@tollgate/kernel";
import { createLogger, delay } from "@tollgate/kernel";
import type { ApiDefinition } from "./publishApi.ts";
import { publishApi } from "./publishApi.ts";
import { registerUpstream } from "./registerUpstream.ts";

/** Gateways that were just told of the departure may still have a request on the way. */
const DEPARTURE_MS = 250;

export interface RunUpstreamOptions {
  readonly server: Server;
  /** What the service is in the catalogue. */
  readonly definition: ApiDefinition;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly etcdUrl: string;
  /** Public address of the control plane. */
  readonly apiUrl: string;
  readonly serviceToken: string;
  /** Address the gateways use, when it is not `http://<host>:<port>`. */
  readonly publicUrl?: string;
  /** Path at which the server answers orders to delete a tenant's data; published as the definition's `deleteDataUrl`. */
  readonly deleteDataPath?: string;
  readonly namespace?: string;
  readonly logger?: Logger;
}

export interface RunningUpstream {
  readonly url: string;
  /** Leaves the gateways first, then finishes what is in flight, then closes. */
  stop(): Promise<void>;
}

/**
 * Runs a plain `node:http` server as an upstream: it listens, registers with the gateways, and publishes its definition
 * to the catalogue as soon as the control plane answers.
 * @throws Error if the address cannot be listened on
 */
export async function runUpstream(options: RunUpstreamOptions): Promise<RunningUpstream> {
  const { server } = options;
  const logger = options.logger ?? createLogger({ name: options.definition.name, level: "info" });
  server.listen(options.port, options.host);
  await once(server, "listening");
  const address = server.address();
  const port = address === null || typeof address === "string" ? options.port : address.port;
  const url = `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`;

  const publicUrl = options.publicUrl ?? url;
  const { deleteDataPath } = options;
  const definition: ApiDefinition =
    deleteDataPath === undefined
      ? options.definition
      : { ...options.definition, deleteDataUrl: new URL(deleteDataPath, publicUrl).href };

  const registration = await registerUpstream({
    etcdUrl: options.etcdUrl,
    api: definition.name,
    url: publicUrl,
    logger,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  });
  const abort = new AbortController();
  const publishing = publishApi({
    apiUrl: options.apiUrl,
    serviceToken: options.serviceToken,
    definition,
    signal: abort.signal,
    onRetry: (error, attempt) => {
      if (attempt === 1)
        logger.info({ err: error }, "The control plane does not answer yet; publishing as soon as it does");
    },
  }).then(
    (isPublished) => {
      if (isPublished) logger.info({ api: definition.name }, "Published");
    },
    // The API may be in the catalogue from before, and calls to it are worth serving.
    (error: unknown) => logger.error({ err: error }, "The catalogue does not take this API as it is"),
  );
  logger.info({ url }, "Serving");

  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    abort.abort();
    await Promise.all([registration.close(), publishing]);
    await delay(DEPARTURE_MS);
    const closed = once(server, "close");
    server.close();
    server.closeIdleConnections();
    await closed;
  };
  return {
    url,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Stops on SIGTERM and SIGINT, then ends the process. */
export function stopOnSignals(upstream: RunningUpstream): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      upstream.stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}
