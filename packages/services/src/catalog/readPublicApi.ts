import type { apiRefInput, PublicApi } from "@tollgate/contracts";
import { notFound } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { exampleRequest } from "./exampleRequest.ts";
import { apiRemoved, findApi, loadEndpoints, toEndpoint, toSummary } from "./internal.ts";
import { makeSnippets } from "./snippets.ts";

/**
 * A published API as anyone sees it: its document, examples, endpoints with prices, and code to begin from.
 * @throws TollgateError NOT_FOUND, also for a draft; GONE for one that was removed
 */
export async function readPublicApi({ ctx, input }: Verb<z.output<typeof apiRefInput>>): Promise<PublicApi> {
  const row = await findApi(ctx, input.name);
  if (row === undefined || row.isInternal || row.status === "draft") throw notFound("api");
  if (row.status === "removed") throw apiRemoved(input.name);
  const facts = (await loadEndpoints(ctx, [row.id])).get(row.id) ?? [];
  const now = ctx.clock.now();
  return {
    ...toSummary(row),
    openapi: row.openapi,
    examples: row.examples,
    endpoints: facts
      .filter((endpoint) => endpoint.retiredAt === null)
      .map((each) => {
        const endpoint = toEndpoint(each, now);
        const example = exampleRequest(row.openapi, endpoint);
        return { ...endpoint, ...makeSnippets(ctx.settings.publicGatewayUrl, row.name, endpoint, example) };
      }),
  };
}
