import { processStripeEventJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { badRequest } from "@tollgate/kernel";
import Stripe from "stripe";
import { z } from "zod";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";

/** How old a signature may be: Stripe's own tolerance. A copy that somebody kept is worth nothing after that. */
const TOLERANCE_SECONDS = 300;

const eventSchema = z.object({
  id: z.string().min(1).max(255),
  type: z.string().min(1).max(255),
  created: z.int(),
  livemode: z.boolean(),
  data: z.object({
    object: z.looseObject({ id: z.string().optional(), object: z.string(), customer: z.unknown().optional() }),
    previous_attributes: z.looseObject({ customer: z.unknown().optional() }).optional(),
  }),
});
type StripeEventFacts = z.infer<typeof eventSchema>;

/**
 * Takes an event that Stripe has sent: believes it by its signature, writes it down once, and orders the job that does
 * what it asks for, all in one transaction. Of the event only the ids are kept; what is true is asked when it is processed.
 * @throws TollgateError BAD_REQUEST `invalid_signature`, and nothing is kept; UNAVAILABLE: Stripe will send it again
 */
export async function receiveStripeEvent(
  ctx: PaymentsContext,
  request: { readonly body: Buffer; readonly signature: string | undefined },
): Promise<{ readonly isNew: boolean }> {
  const { client, webhookSecrets } = requireStripe(ctx);
  const event = believe(ctx, client, webhookSecrets, request);
  const { object, previous_attributes: previous } = event.data;
  const customer = object.object === "customer" ? object.id : (object.customer ?? previous?.customer);
  return withTransaction(
    ctx,
    async (ctx) => {
      const [row] = await ctx.db
        .insert(schema.stripeEvents)
        .values({
          id: event.id,
          type: event.type,
          objectId: object.id ?? "",
          stripeCustomerId: typeof customer === "string" ? customer : null,
          isLive: event.livemode,
          happenedAt: new Date(event.created * 1_000),
          receivedAt: ctx.clock.now(),
        })
        .onConflictDoNothing({ target: schema.stripeEvents.id })
        .returning({ id: schema.stripeEvents.id });
      if (row === undefined) return { isNew: false };
      await appendJob(ctx, processStripeEventJob, { eventId: row.id });
      return { isNew: true };
    },
    { isIdempotent: true },
  );
}

/** With whichever of the secrets: there is one for each mode, and two while one is replaced. */
function believe(
  ctx: PaymentsContext,
  client: Stripe,
  secrets: readonly string[],
  request: { readonly body: Buffer; readonly signature: string | undefined },
): StripeEventFacts {
  for (const secret of secrets) {
    try {
      const event = client.webhooks.constructEvent(
        request.body,
        request.signature ?? "",
        secret,
        TOLERANCE_SECONDS,
        undefined,
        ctx.clock.nowMs(),
      );
      return eventSchema.parse(event);
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) throw unreadable(error);
    }
  }
  throw badRequest("The signature is not one of the payment provider's", { reason: "invalid_signature" });
}

const unreadable = (cause: unknown): Error =>
  badRequest("The event cannot be read", { reason: "invalid_event", cause });
