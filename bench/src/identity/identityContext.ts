import type { IncomingMessage } from "node:http";
import type { Database } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import type { RequestContext } from "@tollgate/routers";
import type { ServiceContext, ServiceSettings } from "@tollgate/services";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { createAccessTokenAuthenticator, createTokenIssuer } from "@tollgate/services/customers";
import { createOauthProviders } from "@tollgate/services/oauth";

const SETTINGS: ServiceSettings = {
  masterSecret: "a secret that is long enough for the benchmark",
  publicApiUrl: "http://127.0.0.1",
  publicGatewayUrl: "http://127.0.0.1",
  publicWebUrl: "http://127.0.0.1",
  ...LIVE_SETTING_DEFAULTS,
};

/** The context in which verbs act for somebody. */
export function contextOf(database: Database, actor: Actor): ServiceContext {
  return {
    clock: systemClock,
    logger: silentLogger,
    actor,
    requestId: newId("request"),
    database,
    db: database.db,
    isInTransaction: false,
    settings: SETTINGS,
  };
}

/** Makes the contexts of requests, as the control plane does. */
export function createRequestContexts(database: Database): (request: IncomingMessage) => RequestContext {
  const tokenIssuer = createTokenIssuer({ database, clock: systemClock, settings: SETTINGS });
  const accessTokens = createAccessTokenAuthenticator({ database, tokenIssuer, clock: systemClock });
  const oauthProviders = createOauthProviders({
    registrations: {},
    publicApiUrl: SETTINGS.publicApiUrl,
    returnOrigins: [],
    allowsLocalhost: false,
  });
  return (request) => ({
    ...contextOf(database, { kind: "anonymous" }),
    tokenIssuer,
    oauthProviders,
    // No procedure here streams, or reads or changes a setting.
    live: undefined as never,
    config: undefined as never,
    isFromBrowser: false,
    authenticate: () => {
      const { authorization } = request.headers;
      if (authorization === undefined) return Promise.resolve({ kind: "anonymous" });
      return accessTokens.authenticateAccessToken(authorization.slice("Bearer ".length));
    },
  });
}
