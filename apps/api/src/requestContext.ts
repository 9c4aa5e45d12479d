import type { IncomingMessage, ServerResponse } from "node:http";
import type { Database } from "@tollgate/db";
import type { Actor, Clock, Logger } from "@tollgate/kernel";
import type { PushBus, Queues, RateGate } from "@tollgate/messaging";
import type { RequestContext } from "@tollgate/routers";
import type { ProductConfig, ServiceContext, ServiceSettings } from "@tollgate/services";
import type { AccessTokenAuthenticator, TokenIssuer } from "@tollgate/services/customers";
import type { LiveStreams } from "@tollgate/services/live";
import type { OauthProviders } from "@tollgate/services/oauth";
import type { StripeAccount } from "@tollgate/services/payments";
import { currentTraceparent, nextTraceparent } from "@tollgate/telemetry";
import type { ServiceTokens } from "./authentication.ts";
import { bearerToken } from "./authentication.ts";
import { clientIpOf, isFromBrowser, requestIdOf, traceparentOf, userAgentOf } from "./requestFacts.ts";

/** What every request shares. */
export interface ApiResources {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: ServiceSettings;
  readonly config: ProductConfig;
  readonly tokenIssuer: TokenIssuer;
  readonly oauthProviders: OauthProviders;
  /** Undefined where the deployment takes no payments. */
  readonly stripe?: StripeAccount | undefined;
  readonly accessTokens: AccessTokenAuthenticator;
  readonly serviceTokens: ServiceTokens;
  readonly trustedProxyHops: number;
  /** Tells streams of what has changed. Without it they look by themselves. */
  readonly bus?: PushBus;
  /** The rate limits that gateways keep. Without it nothing that is decided here looks at them. */
  readonly rates?: RateGate;
  /** What operators see at `/admin/queues`. Without it there is no such page. */
  readonly queues?: Queues;
}

const ANONYMOUS: Actor = { kind: "anonymous" };

/** The context of a page that anybody may open. */
export function anonymousContext(
  { clock, database, logger, settings }: ApiResources,
  requestId: string,
): ServiceContext {
  return {
    clock,
    logger: logger.child({ requestId }),
    actor: ANONYMOUS,
    requestId,
    database,
    db: database.db,
    isInTransaction: false,
    settings,
  };
}

/** What requests share that the server itself makes. */
export interface ServerResources extends ApiResources {
  readonly live: LiveStreams;
}

/** The context of one request; its id goes back to the caller in `X-Request-Id`. */
export function createRequestContext(
  resources: ServerResources,
  request: IncomingMessage,
  response: ServerResponse,
): RequestContext {
  const { clock, database, settings, config, tokenIssuer, oauthProviders, live } = resources;
  const requestId = requestIdOf(request);
  response.setHeader("x-request-id", requestId);
  const ip = clientIpOf(request, resources.trustedProxyHops);
  const userAgent = userAgentOf(request);
  const traceparent = currentTraceparent() ?? traceparentOf(request) ?? nextTraceparent();
  let actor: Promise<Actor> | undefined;
  return {
    clock,
    logger: resources.logger.child({ requestId }),
    actor: ANONYMOUS,
    requestId,
    database,
    db: database.db,
    isInTransaction: false,
    settings,
    config,
    tokenIssuer,
    oauthProviders,
    live,
    stripe: resources.stripe,
    rates: resources.rates,
    isFromBrowser: isFromBrowser(request),
    ...(ip === undefined ? {} : { ip }),
    ...(userAgent === undefined ? {} : { userAgent }),
    traceparent,
    // A batch asks once for all of its calls.
    authenticate: () => {
      actor ??= identify(resources, request.headers.authorization);
      return actor;
    },
  };
}

async function identify(resources: ApiResources, authorization: string | undefined): Promise<Actor> {
  const token = bearerToken(authorization);
  if (token === undefined) return ANONYMOUS;
  const service = resources.serviceTokens.find(token);
  if (service !== undefined) return { kind: "service", service };
  return resources.accessTokens.authenticateAccessToken(token);
}
