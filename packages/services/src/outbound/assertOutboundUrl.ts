import { badRequest } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
import { parseNetworks } from "./addresses.ts";
import { OutboundError } from "./outboundError.ts";
import { parseOutboundUrl } from "./outboundUrl.ts";

/**
 * Refuses a URL of an input at once when it is plain that it can never be called. @returns it in its normal form
 * @throws TollgateError BAD_REQUEST that names `field`
 */
export function assertOutboundUrl(ctx: ServiceContext, field: string, url: string): string {
  try {
    return parseOutboundUrl(url, parseNetworks(ctx.settings.outboundAllowedNetworks ?? [])).href;
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error;
    throw badRequest(`${field}: ${error.message}`, {
      reason: error.reason,
      issues: [{ path: field, message: error.message }],
    });
  }
}
