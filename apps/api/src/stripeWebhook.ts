import { receiveStripeEvent } from "@tollgate/services/payments";
import type { FastifyInstance } from "fastify";
import type { ServerResources } from "./requestContext.ts";
import { createRequestContext } from "./requestContext.ts";

/**
 * Where Stripe sends its events: `POST /webhooks/stripe`. The signature is over the bytes, so the body is taken as it
 * comes. Answered as soon as the event is written down; what it asks for is done by a job.
 */
export async function addStripeWebhook(app: FastifyInstance, resources: ServerResources): Promise<void> {
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => done(null, body));
    scope.post("/webhooks/stripe", async (request, reply) => {
      const ctx = createRequestContext(resources, request.raw, reply.raw);
      const signature = request.headers["stripe-signature"];
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const system = { ...ctx, actor: { kind: "system", task: "stripe-webhook" } as const };
      const { isNew } = await receiveStripeEvent(system, {
        body,
        signature: typeof signature === "string" ? signature : undefined,
      });
      return reply.send({ received: true, isNew });
    });
  });
}
