import { oauthProvider } from "@tollgate/contracts";
import { notFound } from "@tollgate/kernel";
import { returnFromProvider } from "@tollgate/services/oauth";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ServerResources } from "./requestContext.ts";
import { createRequestContext } from "./requestContext.ts";

const answerSchema = z.object({
  state: z.string().max(200).default(""),
  code: z.string().min(1).max(2_000).optional(),
  error: z.string().max(200).optional(),
});

/**
 * Where providers send browsers back to (`GET /oauth/callback/google`): the browser goes on to the page that the sign-in was
 * started for, and that page finishes it.
 */
export function addOauthReturn(app: FastifyInstance, resources: ServerResources): void {
  app.get<{ Params: { provider: string } }>("/oauth/callback/:provider", async (request, reply) => {
    const provider = oauthProvider.safeParse(request.params.provider);
    if (!provider.success) throw notFound("provider");
    // What a provider would not send is as good as nothing.
    const answer = answerSchema.safeParse(request.query);
    const { state, code, error } = answer.success ? answer.data : { state: "", code: undefined, error: undefined };
    const ctx = createRequestContext(resources, request.raw, reply.raw);
    const url = await returnFromProvider({ ctx, input: { provider: provider.data, state, code, error } });
    // The code in this URL is nobody else's business: neither a cache's nor, as Referer, that of the next page's servers.
    return reply.header("cache-control", "no-store").header("referrer-policy", "no-referrer").redirect(url, 303);
  });
}
