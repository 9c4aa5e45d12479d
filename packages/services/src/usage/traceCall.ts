import type { Trace, traceInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import {
  callStartedAtMs,
  hourFloor,
  isAdmin,
  isService,
  notFound,
  TollgateError,
  unauthorized,
} from "@tollgate/kernel";
import { and, asc, desc, eq, gt, gte, lte, sql } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireMember } from "../permissions.ts";
import type { CallRow } from "./internal.ts";
import { readNamedEndpoints, toCall } from "./internal.ts";

const {
  calls,
  grantConsumptions,
  grants,
  invoiceEntries,
  invoiceLines,
  invoices,
  ledgerEntries,
  projectMembers,
  usageBatches,
  usageHourly,
} = schema;

const HOUR_MS = 3_600_000;

/**
 * Follows a call: the batch it was folded in, the statement's line that it is part of, the grants that were spent, and the
 * invoice's line. A call that is not posted yet has no line, and one whose period is not closed yet no invoice.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND, also for a call of a project that is not the caller's
 */
export async function traceCall({ ctx, input }: Verb<z.output<typeof traceInput>>): Promise<Trace> {
  const call = await requireCall(ctx, input.callId);
  const [batch] = await ctx.db
    .select()
    .from(usageBatches)
    .where(and(eq(usageBatches.source, call.source), lte(usageBatches.sequence, call.sequence)))
    .orderBy(desc(usageBatches.sequence))
    .limit(1);
  if (batch === undefined) throw new Error(`The batch of ${call.id} is not there`);
  const ledger = await findLedgerLine(ctx, call, batch.foldedAt);
  const spent =
    ledger === null
      ? []
      : await ctx.db
          .select({ grantId: grants.id, source: grants.source, amountMicros: grantConsumptions.amountMicros })
          .from(grantConsumptions)
          .innerJoin(grants, eq(grants.id, grantConsumptions.grantId))
          .where(eq(grantConsumptions.transactionId, ledger.transactionId))
          .orderBy(asc(grants.createdAt), asc(grants.id));
  const named = await readNamedEndpoints(ctx, [call.endpointId]);
  return {
    call: toCall(call, named.get(call.endpointId)),
    projectId: call.projectId,
    billingAccountId: call.billingAccountId,
    batch: {
      source: batch.source,
      sequence: batch.sequence,
      calls: batch.calls,
      isLate: batch.isLate,
      foldedAt: batch.foldedAt,
    },
    ledger,
    grants: spent,
    invoice: ledger === null ? null : await findInvoiceLine(ctx, call, ledger),
  };
}

/** Lines of the ledger with the same project, endpoint and price are one line of the invoice. */
async function findInvoiceLine(
  ctx: ServiceContext,
  call: CallRow,
  ledger: NonNullable<Trace["ledger"]>,
): Promise<Trace["invoice"]> {
  const [found] = await ctx.db
    .select({
      invoiceId: invoices.id,
      number: invoices.number,
      line: invoiceLines.line,
      description: invoiceLines.description,
      amountMicros: invoiceLines.amountMicros,
    })
    .from(invoiceEntries)
    .innerJoin(invoices, eq(invoices.id, invoiceEntries.invoiceId))
    .innerJoin(invoiceLines, eq(invoiceLines.invoiceId, invoices.id))
    .where(
      and(
        eq(invoiceEntries.transactionId, ledger.transactionId),
        eq(invoiceEntries.line, ledger.line),
        eq(invoiceLines.projectId, call.projectId),
        eq(invoiceLines.endpointId, call.endpointId),
        eq(invoiceLines.unitPriceMicros, call.unitPriceMicros),
      ),
    )
    .limit(1);
  return found ?? null;
}

/** A stranger's call is as unknown as one that never was. */
async function requireCall(ctx: ServiceContext, callId: string): Promise<CallRow> {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  const call = await findCall(ctx, callId);
  try {
    await requireMember(ctx, call?.projectId ?? "", "usage.trace", { orAdmin: true });
  } catch (error) {
    if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("call");
    throw error;
  }
  if (call === undefined) throw notFound("call");
  return call;
}

/** Calls have no index of ids: the id says when it began, so it is looked for at that instant in every project it can be of. */
async function findCall(ctx: ServiceContext, callId: string): Promise<CallRow | undefined> {
  const startedAtMs = callStartedAtMs(callId);
  if (Number.isNaN(startedAtMs)) return undefined;
  const [call] = await ctx.db
    .select()
    .from(calls)
    .where(
      and(
        eq(calls.projectId, sql`any(array(${possibleProjects(ctx, startedAtMs)}))`),
        eq(calls.startedAt, new Date(startedAtMs)),
        eq(calls.id, callId),
      ),
    );
  return call;
}

/**
 * A person's own projects; for those who may see every call, the projects that called in that hour. Whose call it is is not
 * known, so neither is the zone of its hour; but an hour begins less than one before everything that is in it.
 */
function possibleProjects(ctx: ServiceContext, startedAtMs: number) {
  const { actor } = ctx;
  if (isAdmin(actor) || isService(actor)) {
    return ctx.db
      .selectDistinct({ projectId: usageHourly.projectId })
      .from(usageHourly)
      .where(and(gt(usageHourly.hour, new Date(startedAtMs - HOUR_MS)), lte(usageHourly.hour, new Date(startedAtMs))));
  }
  const customerId = actor.kind === "customer" ? actor.customerId : "";
  return ctx.db
    .selectDistinct({ projectId: projectMembers.projectId })
    .from(projectMembers)
    .where(eq(projectMembers.customerId, customerId));
}

/** A settlement posts all that is folded of a line, so the first one after the fold has the call in it. */
async function findLedgerLine(ctx: ServiceContext, call: CallRow, foldedAt: Date): Promise<Trace["ledger"]> {
  if (call.chargedMicros === 0n) return null;
  const hour = hourFloor(call.startedAt.getTime()).toISOString();
  const [line] = await ctx.db
    .select({
      transactionId: ledgerEntries.transactionId,
      line: ledgerEntries.line,
      amountMicros: ledgerEntries.amountMicros,
      createdAt: ledgerEntries.createdAt,
    })
    .from(ledgerEntries)
    .where(
      and(
        eq(ledgerEntries.account, `wallet:${call.billingAccountId}`),
        gte(ledgerEntries.createdAt, foldedAt),
        sql`${ledgerEntries.detail}->>'hour' = ${hour}`,
        sql`${ledgerEntries.detail}->>'projectId' = ${call.projectId}`,
        sql`${ledgerEntries.detail}->>'endpointId' = ${call.endpointId}`,
        sql`${ledgerEntries.detail}->>'unitPriceMicros' = ${call.unitPriceMicros.toString()}`,
      ),
    )
    .orderBy(asc(ledgerEntries.createdAt), asc(ledgerEntries.transactionId))
    .limit(1);
  return line ?? null;
}
