import { z } from "zod";
import { pageOf } from "../http/pages.ts";
import {
  expand,
  int,
  isInRange,
  mergeMetadata,
  metadata,
  paging,
  range,
  text,
  unsettable,
} from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import { closeDispute } from "../world/disputes.ts";
import { refundCharge } from "../world/refunds.ts";

const byPayment = { charge: text.optional(), payment_intent: text.optional() };
const isOf = (
  row: { charge: string | null; payment_intent: string | null; created: number },
  input: {
    charge?: string | undefined;
    payment_intent?: string | undefined;
    created?: z.output<typeof range> | undefined;
  },
): boolean =>
  isInRange(row.created, input.created) &&
  (input.charge === undefined || row.charge === input.charge) &&
  (input.payment_intent === undefined || row.payment_intent === input.payment_intent);

export const chargeRoutes = [
  route("GET", "/v1/charges/:id", z.strictObject({ expand }), (call) => call.world.charges.get(idOf(call))),
  route(
    "POST",
    "/v1/charges/:id",
    z.strictObject({
      description: unsettable.optional(),
      metadata: metadata.optional(),
      receipt_email: text.optional(),
      expand,
    }),
    (call) => {
      const row = call.world.charges.get(idOf(call));
      const { input } = call;
      return call.world.update(
        row,
        {
          metadata: mergeMetadata(row.metadata, input.metadata),
          ...(input.description === undefined ? {} : { description: input.description }),
        },
        "charge.updated",
      );
    },
  ),
  route(
    "GET",
    "/v1/charges",
    z.strictObject({
      ...paging,
      customer: text.optional(),
      payment_intent: text.optional(),
      created: range.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.charges,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.customer === undefined || row.customer === input.customer) &&
          (input.payment_intent === undefined || row.payment_intent === input.payment_intent),
      ),
  ),
];

export const refundRoutes = [
  route(
    "POST",
    "/v1/refunds",
    z.strictObject({
      ...byPayment,
      amount: int.optional(),
      metadata: metadata.optional(),
      reason: z.enum(["duplicate", "fraudulent", "requested_by_customer"]).optional(),
      expand,
    }),
    ({ world, input }) => refundCharge(world, input),
  ),
  route("GET", "/v1/refunds/:id", z.strictObject({ expand }), (call) => call.world.refunds.get(idOf(call))),
  route("POST", "/v1/refunds/:id", z.strictObject({ metadata: metadata.optional(), expand }), (call) => {
    const row = call.world.refunds.get(idOf(call));
    return call.world.update(row, { metadata: mergeMetadata(row.metadata, call.input.metadata) }, "refund.updated");
  }),
  route(
    "GET",
    "/v1/refunds",
    z.strictObject({ ...paging, ...byPayment, created: range.optional() }),
    ({ world, input, path }) => pageOf(world.refunds, input, path, (row) => isOf(row, input)),
  ),
];

export const disputeRoutes = [
  route("GET", "/v1/disputes/:id", z.strictObject({ expand }), (call) => call.world.disputes.get(idOf(call))),
  route(
    "POST",
    "/v1/disputes/:id",
    z.strictObject({
      evidence: z.record(z.string(), z.string()).optional(),
      metadata: metadata.optional(),
      submit: z.enum(["true", "false"]).optional(),
      expand,
    }),
    (call) => {
      const row = call.world.disputes.get(idOf(call));
      const { input, world } = call;
      const evidence = { ...row.evidence, ...input.evidence } as typeof row.evidence;
      world.update(row, { evidence, metadata: mergeMetadata(row.metadata, input.metadata) }, "charge.dispute.updated");
      // The stand-in's bank reads what Stripe's test bank reads.
      const words = input.evidence?.["uncategorized_text"];
      if (words === "winning_evidence") closeDispute(world, row, "won");
      if (words === "losing_evidence") closeDispute(world, row, "lost");
      return row;
    },
  ),
  route("POST", "/v1/disputes/:id/close", z.strictObject({ expand }), (call) =>
    closeDispute(call.world, call.world.disputes.get(idOf(call)), "lost"),
  ),
  route(
    "GET",
    "/v1/disputes",
    z.strictObject({ ...paging, ...byPayment, created: range.optional() }),
    ({ world, input, path }) => pageOf(world.disputes, input, path, (row) => isOf(row, input)),
  ),
];

export const balanceRoutes = [
  route("GET", "/v1/balance_transactions/:id", z.strictObject({ expand }), (call) =>
    call.world.balanceTransactions.get(idOf(call)),
  ),
  route(
    "GET",
    "/v1/balance_transactions",
    z.strictObject({
      ...paging,
      created: range.optional(),
      type: text.optional(),
      source: text.optional(),
      currency: text.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.balanceTransactions,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.type === undefined || row.type === input.type) &&
          (input.source === undefined || row.source === input.source),
      ),
  ),
  route("GET", "/v1/balance", z.strictObject({ expand }), ({ world }) => {
    const sums = new Map<string, number>();
    for (const row of world.balanceTransactions.all()) sums.set(row.currency, (sums.get(row.currency) ?? 0) + row.net);
    const funds = [...sums].map(([code, amount]) => ({ amount, currency: code, source_types: { card: amount } }));
    const none = funds.map(({ currency: code }) => ({ amount: 0, currency: code, source_types: { card: 0 } }));
    return { object: "balance", available: funds, livemode: false, pending: none };
  }),
];
