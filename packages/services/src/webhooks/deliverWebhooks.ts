import type { WebhookAttempt } from "@tollgate/db";
import { schema, withSqlTransaction } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import { Webhook } from "standardwebhooks";
import type { ServiceContext } from "../context.ts";
import type { Outbound, OutboundResponse } from "../outbound/index.ts";
import { OutboundError, parseRetryAfter } from "../outbound/index.ts";
import { requireService } from "../permissions.ts";
import type { EndpointSlots } from "./endpointSlots.ts";
import type { EndpointRow } from "./internal.ts";
import { unsealSecret } from "./internal.ts";
import { noteAttempt } from "./noteAttempt.ts";

const TIMEOUT_MS = 15_000;
/** A worker that delivers something has it for so long; longer than the attempt can take. */
const CLAIM_MS = 60_000;
/** One job works for an endpoint so long at most; the sweep wakes it again. */
const TURN_MS = 30_000;
/** An answer that took longer than this ends the turn: others may have the slot. */
const SLOW_MS = 1_000;
const BODY_CHARACTERS_MAX = 1_000;
const { webhookEndpoints } = schema;

/** A delivery that this process has taken on. */
export interface ClaimedDelivery {
  readonly id: string;
  readonly messageId: string;
  readonly payload: string;
  readonly attempts: number;
}

/**
 * Delivers what is due for an endpoint, one after the other, while there is something and its turn lasts. Running it many
 * times, also at once, delivers each once at a time: rows are claimed. What a worker had when it died is tried again a
 * minute later, with the same `webhook-id`.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function deliverWebhooks({
  ctx,
  input,
  outbound,
  slots,
}: {
  readonly ctx: ServiceContext;
  readonly input: { readonly endpointId: string };
  readonly outbound: Outbound;
  readonly slots: EndpointSlots;
}): Promise<{ readonly attempts: number }> {
  requireService(ctx);
  const endpoint = await findEndpoint(ctx, input.endpointId);
  if (endpoint === undefined) return { attempts: 0 };
  const slot = slots.enter(endpoint.id, endpoint.failingSince !== null);
  if (slot === undefined) return { attempts: 0 };
  const untilMs = ctx.clock.nowMs() + TURN_MS;
  let attempts = 0;
  try {
    while (ctx.clock.nowMs() <= untilMs) {
      const delivery = await claimNext(ctx, endpoint.id);
      if (delivery === undefined) {
        if (slots.wasWanted(endpoint.id)) continue;
        break;
      }
      attempts += 1;
      const { isEnabled, isSuccess, isSlow } = await deliver(ctx, outbound, delivery, endpoint.id);
      slots.noteAnswer(endpoint.id, isSlow);
      // One that was found to be slow goes on in a slot of its kind, when the sweep wakes it.
      if (!isEnabled || (isSlow && !(isSuccess && slot.isRestricted))) break;
    }
    return { attempts };
  } finally {
    slot.leave();
  }
}

/** What an attempt says of its endpoint. */
interface Answered {
  readonly isEnabled: boolean;
  readonly isSuccess: boolean;
  readonly isSlow: boolean;
}

/** One attempt. */
async function deliver(
  ctx: ServiceContext,
  outbound: Outbound,
  delivery: ClaimedDelivery,
  endpointId: string,
): Promise<Answered> {
  // Read anew each time: it may have been changed, rotated or deleted.
  const endpoint = await findEndpoint(ctx, endpointId);
  if (endpoint === undefined) return { isEnabled: false, isSuccess: false, isSlow: false };
  const startedAt = ctx.clock.now();
  const startedMs = performance.now();
  const outcome = await send(ctx, outbound, endpoint, delivery);
  const attempt: WebhookAttempt = {
    at: startedAt.toISOString(),
    durationMs: Math.round(performance.now() - startedMs),
    status: outcome instanceof OutboundError ? null : outcome.status,
    error: outcome instanceof OutboundError ? outcome.message : null,
    body: outcome instanceof OutboundError ? "" : printable(outcome.body).slice(0, BODY_CHARACTERS_MAX),
  };
  const retryAfterMs =
    outcome instanceof OutboundError ? undefined : parseRetryAfter(outcome.headers["retry-after"], ctx.clock.now());
  const noted = await noteAttempt(ctx, endpoint, delivery, attempt, retryAfterMs);
  return { ...noted, isSlow: attempt.durationMs >= SLOW_MS };
}

async function send(
  ctx: ServiceContext,
  outbound: Outbound,
  endpoint: EndpointRow,
  delivery: ClaimedDelivery,
): Promise<OutboundResponse | OutboundError> {
  const now = ctx.clock.now();
  try {
    return await outbound.send({
      url: endpoint.url,
      headers: {
        "content-type": "application/json",
        "user-agent": "Tollgate-Webhooks/1",
        "webhook-id": delivery.messageId,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
        "webhook-signature": signAll(ctx, endpoint, delivery, now),
      },
      body: delivery.payload,
      timeoutMs: TIMEOUT_MS,
      responseBytesMax: 4 * BODY_CHARACTERS_MAX,
    });
  } catch (error) {
    if (error instanceof OutboundError) return error;
    throw error;
  }
}

/** A signature for each secret that is good, separated by spaces (Standard Webhooks, "Signature scheme"). */
function signAll(ctx: ServiceContext, endpoint: EndpointRow, delivery: ClaimedDelivery, now: Date): string {
  const { previousSecretSealed: previous, previousSecretExpiresAt: expiresAt } = endpoint;
  const sealed = [
    endpoint.secretSealed,
    ...(previous !== null && expiresAt !== null && expiresAt > now ? [previous] : []),
  ];
  return sealed
    .map((secret) => new Webhook(unsealSecret(ctx, secret)).sign(delivery.messageId, now, delivery.payload))
    .join(" ");
}

async function findEndpoint(ctx: ServiceContext, endpointId: string): Promise<EndpointRow | undefined> {
  const [row] = await ctx.db
    .select()
    .from(webhookEndpoints)
    .where(
      and(
        eq(webhookEndpoints.id, endpointId),
        eq(webhookEndpoints.status, "enabled"),
        isNull(webhookEndpoints.deletedAt),
      ),
    );
  return row;
}

/**
 * Takes the delivery that has waited longest. READ COMMITTED: it decides on one row, and locks it
 * (docs/decisions/0017-leases-and-the-fold-lock-their-rows.md).
 */
async function claimNext(ctx: ServiceContext, endpointId: string): Promise<ClaimedDelivery | undefined> {
  const now = ctx.clock.now();
  const until = new Date(now.getTime() + CLAIM_MS);
  const [row] = await withSqlTransaction(
    ctx.database,
    (sql) => sql<{ id: string; message_id: string; payload: string; attempts: number }[]>`
      update webhook_deliveries set claimed_until = ${until}, attempts = attempts + 1
      where id = (
        select id from webhook_deliveries
        where endpoint_id = ${endpointId} and status = 'pending' and next_attempt_at <= ${now}
          and (claimed_until is null or claimed_until <= ${now})
        order by next_attempt_at limit 1 for update skip locked)
      returning id, message_id, payload, attempts`,
    { isLockingItsRows: true },
  );
  if (row === undefined) return undefined;
  return { id: row.id, messageId: row.message_id, payload: row.payload, attempts: Number(row.attempts) };
}

/** A database cannot hold the character NUL, which an answer may contain. */
const printable = (text: string): string => text.replaceAll("\u0000", "\uFFFD");
