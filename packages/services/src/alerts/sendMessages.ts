import type { AlertChannel } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { groupBy } from "@tollgate/kernel";
import { and, asc, eq, inArray, isNull, lte, or, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { Outbound } from "../outbound/index.ts";
import { OutboundError, parseRetryAfter } from "../outbound/index.ts";
import { requireService } from "../permissions.ts";
import { planDelivery } from "../webhooks/planAttempt.ts";
import { unsealChannels } from "./internal.ts";

const { alertMessages: messages } = schema;
type MessageRow = typeof messages.$inferSelect;

const CLAIM_MAX = 100;
const CLAIM_MS = 60_000;
const TIMEOUT_MS = 10_000;
/** What one channel gets in a sweep; the rest waits for the next one, so a storm arrives as a drizzle. */
const PER_TARGET_MAX = 2;
const ERROR_CHARACTERS_MAX = 300;

/**
 * Sends what alerts have to say, channel by channel, each at its own pace: a slow one holds up itself. What fails is tried
 * again after the table of webhooks; a channel may ask for a longer wait.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function sendAlertMessages({
  ctx,
  outbound,
}: {
  readonly ctx: ServiceContext;
  readonly outbound: Outbound;
}): Promise<{ readonly tried: number }> {
  requireService(ctx);
  const claimed = await claim(ctx);
  const byTarget = groupBy(claimed, (row) => row.target);
  await Promise.all(
    [...byTarget.values()].map(async (rows) => {
      for (const row of rows) await sendOne(ctx, outbound, row);
    }),
  );
  return { tried: claimed.length };
}

/**
 * Takes what has waited longest at each channel, a few messages a channel, so that a long line at one hides nobody else's.
 */
async function claim(ctx: ServiceContext): Promise<MessageRow[]> {
  const now = ctx.clock.now();
  const isDue = and(
    eq(messages.status, "pending"),
    lte(messages.nextAttemptAt, now),
    or(isNull(messages.claimedUntil), lte(messages.claimedUntil, now)),
  );
  return withTransaction(ctx, async (ctx) => {
    const lines = ctx.db
      .select({
        id: messages.id,
        nextAttemptAt: messages.nextAttemptAt,
        place:
          sql<number>`row_number() over (partition by ${messages.target} order by ${messages.nextAttemptAt}, ${messages.id})`.as(
            "place",
          ),
      })
      .from(messages)
      .where(isDue)
      .as("lines");
    const due = await ctx.db
      .select({ id: lines.id })
      .from(lines)
      .where(lte(lines.place, PER_TARGET_MAX))
      .orderBy(asc(lines.nextAttemptAt), asc(lines.id))
      .limit(CLAIM_MAX);
    if (due.length === 0) return [];
    const ids = due.map(({ id }) => id);
    return ctx.db
      .update(messages)
      .set({ claimedUntil: new Date(now.getTime() + CLAIM_MS), attempts: sql`${messages.attempts} + 1` })
      .where(and(inArray(messages.id, ids), isDue))
      .returning();
  });
}

async function sendOne(ctx: ServiceContext, outbound: Outbound, row: MessageRow): Promise<void> {
  const [channel] = unsealChannels(ctx, row.channelSealed);
  if (channel === undefined || channel.kind === "email") return;
  let status: number | null = null;
  let retryAfterMs: number | undefined;
  let lastError: string | null = null;
  try {
    const answer = await outbound.send({
      url: channel.url,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(bodyFor(channel, row)),
      timeoutMs: TIMEOUT_MS,
    });
    status = answer.status;
    retryAfterMs = parseRetryAfter(answer.headers["retry-after"], ctx.clock.now());
    if (status >= 300) lastError = `Answered ${status}`;
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error;
    lastError = error.message.slice(0, ERROR_CHARACTERS_MAX);
  }
  const now = ctx.clock.now();
  const plan = planDelivery({ attempts: row.attempts, status, retryAfterMs }, now);
  const change =
    plan.kind === "retry"
      ? { nextAttemptAt: plan.at, lastError }
      : plan.kind === "succeeded"
        ? { status: "sent" as const, sentAt: now, lastError: null }
        : { status: "failed" as const, lastError };
  await withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .update(messages)
        .set({ ...change, claimedUntil: null })
        .where(and(eq(messages.id, row.id), eq(messages.attempts, row.attempts)));
    },
    { isIdempotent: true },
  );
}

/** What each kind of channel understands. Names are what people typed: in Slack and Discord they must not call on anybody. */
function bodyFor(channel: AlertChannel, { title, text, isResolved, alertId }: MessageRow): object {
  const line = `${isResolved ? "Over" : "Alert"}: ${title}\n${text}`;
  switch (channel.kind) {
    case "slack":
      return { text: line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;") };
    case "discord":
      return { content: line.slice(0, 2_000), allowed_mentions: { parse: [] } };
    default:
      return { type: isResolved ? "alert.resolved" : "alert.fired", version: 1, alertId, title, text };
  }
}
