import type { DomainEvent } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { parseMicros } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { formatMoney } from "../../billing/formatMoney.ts";
import type { ServiceContext } from "../../context.ts";
import { queueEmail } from "../queueEmail.ts";
import { findAccountAudience } from "./accountAudience.ts";

/** A level that was crossed so long ago is no news: whoever looked since has seen it. */
const NEWS_MS = 24 * 3_600_000;
const { balanceLevels } = schema;

/** Mails the admins that the credit runs low; not where it has recovered, or is used up, which is another mail. */
export async function mailLowBalance(ctx: ServiceContext, event: DomainEvent<"balance.low">): Promise<void> {
  const { billingAccountId, available, threshold } = event.data;
  const level = await findLevel(ctx, event);
  if (level?.isLow !== true || level.isExhausted) return;
  const { name, admins } = await findAccountAudience(ctx, billingAccountId);
  const money = (micros: string): string => formatMoney(parseMicros(micros), ctx.settings.currency ?? "usd");
  for (const { customerId, email } of admins) {
    await queueEmail(ctx, {
      template: "lowBalance",
      to: email,
      data: {
        accountName: name,
        available: money(available),
        threshold: money(threshold),
        dashboardUrl: ctx.settings.publicWebUrl,
      },
      idempotencyKey: `${event.id}:${customerId}`,
    });
  }
}

/** Mails the admins that the credit is used up, unless some was added since. */
export async function mailExhaustedBalance(
  ctx: ServiceContext,
  event: DomainEvent<"balance.exhausted">,
): Promise<void> {
  if ((await findLevel(ctx, event))?.isExhausted !== true) return;
  const { name, admins } = await findAccountAudience(ctx, event.data.billingAccountId);
  for (const { customerId, email } of admins) {
    await queueEmail(ctx, {
      template: "exhaustedBalance",
      to: email,
      data: { accountName: name, dashboardUrl: ctx.settings.publicWebUrl },
      idempotencyKey: `${event.id}:${customerId}`,
    });
  }
}

interface Crossed {
  readonly time: Date;
  readonly data: { readonly billingAccountId: string };
}

/** How the wallet stands now; undefined for what is no news. */
async function findLevel(ctx: ServiceContext, event: Crossed) {
  if (event.time.getTime() < ctx.clock.nowMs() - NEWS_MS) return undefined;
  const [level] = await ctx.db
    .select()
    .from(balanceLevels)
    .where(eq(balanceLevels.billingAccountId, event.data.billingAccountId));
  return level;
}
