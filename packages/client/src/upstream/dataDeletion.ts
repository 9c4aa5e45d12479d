import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { systemClock, TollgateError, unauthorized, unavailable } from "@tollgate/kernel";
import type { JWTPayload } from "jose";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { CLOCK_TOLERANCE_SECONDS, isTokenFault, SIGNATURE_CHECKS } from "./gatewayVerifier.ts";

/** The other side of `deleteDataUrl`: an API is asked to delete what it holds of one of its tenants. */
export interface DataDeletionOptions {
  /** The control plane's public keys: `<apiUrl>/.well-known/jwks.json`. Fetched on first use and again when a key is new. */
  readonly jwksUrl: string;
  /** Name of the API in the catalogue. An order to another API is refused. */
  readonly api: string;
  /** Required in the token's `iss` if given: the public address of the control plane. */
  readonly issuer?: string;
}

/** What is to be deleted. */
export interface DataDeletionOrder {
  /** The tenant, as calls name it. */
  readonly projectId: string;
  /** The same each time that this order is repeated, because no answer came or not one of success. */
  readonly deletionId: string;
}

/** @throws TollgateError UNAUTHORIZED if this is no order, or one that was seen before; UNAVAILABLE if the keys cannot be fetched */
export type DataDeletionVerifier = (headers: IncomingHttpHeaders) => Promise<DataDeletionOrder>;

/** Answers a request of `node:http`. */
export type DataDeletionHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

const TYPE = "data-deletion+jwt";

/**
 * Makes the check that a request is an order of the control plane: a JWT of its own type, signed with Ed25519, for this API
 * and valid for a minute. Each token is taken once by this process, so one that was overheard does nothing a second time.
 */
export function createDataDeletionVerifier(options: DataDeletionOptions): DataDeletionVerifier {
  const keys = createRemoteJWKSet(new URL(options.jwksUrl));
  const seen = new Map<string, number>();
  const checks = {
    ...SIGNATURE_CHECKS,
    typ: TYPE,
    audience: options.api,
    requiredClaims: ["sub", "exp", "jti", "deletion"],
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
  };
  return async (headers) => {
    const token = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
    if (token === undefined) throw unauthorized("Only the control plane may order this");
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, keys, checks));
    } catch (error) {
      if (isTokenFault(error)) throw unauthorized("Not a valid order", { cause: error });
      throw unavailable("The keys of the control plane cannot be fetched", {
        reason: "jwks_unavailable",
        cause: error,
      });
    }
    const { sub, jti, exp, deletion } = payload;
    if (typeof sub !== "string" || typeof jti !== "string" || typeof exp !== "number" || typeof deletion !== "string") {
      throw unauthorized("The order does not say what to delete");
    }
    const nowSeconds = systemClock.nowMs() / 1_000;
    for (const [id, expiresAt] of seen) if (expiresAt + CLOCK_TOLERANCE_SECONDS < nowSeconds) seen.delete(id);
    if (seen.has(jti)) throw unauthorized("This order was given before");
    seen.set(jti, exp);
    return { projectId: sub, deletionId: deletion };
  };
}

/**
 * Answers the requests at `deleteDataUrl`: has the data deleted, and answers 204 when that is done. Whatever `deleteData`
 * throws is a 500, and the order comes again later; it must not mind that there is nothing left to delete.
 */
export function createDataDeletionHandler(
  options: DataDeletionOptions & { readonly deleteData: (order: DataDeletionOrder) => Promise<void> | void },
): DataDeletionHandler {
  const verify = createDataDeletionVerifier(options);
  return async (request, response) => {
    request.resume();
    if (request.method !== "POST") return void response.writeHead(405, { allow: "POST" }).end();
    let order: DataDeletionOrder;
    try {
      order = await verify(request.headers);
    } catch (error) {
      const isRefused = error instanceof TollgateError && error.code === "UNAUTHORIZED";
      return void response.writeHead(isRefused ? 401 : 503).end();
    }
    try {
      await options.deleteData(order);
    } catch (error) {
      console.error(error);
      return void response.writeHead(500).end();
    }
    response.writeHead(204).end();
  };
}
