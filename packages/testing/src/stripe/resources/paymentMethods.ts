import { z } from "zod";
import { behaviourOf, cardNamed, cardNumbered } from "../cards.ts";
import { cardDeclined, invalidRequest } from "../http/apiError.ts";
import { pageOf } from "../http/pages.ts";
import { anything, expand, int, mergeMetadata, metadata, paging, text } from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import { attachTo, detach } from "../world/payments.ts";
import type { CardError, PaymentMethod } from "../world/stored.ts";
import type { World } from "../world/world.ts";

const cardInput = z.strictObject({
  number: text.optional(),
  exp_month: int.optional(),
  exp_year: int.optional(),
  cvc: text.optional(),
  token: text.optional(),
  networks: anything.optional(),
});
const billingDetails = z.strictObject({
  address: anything.optional(),
  email: text.optional(),
  name: text.optional(),
  phone: text.optional(),
  tax_id: text.optional(),
});
export const paymentMethodData = z.strictObject({
  type: text,
  card: cardInput.optional(),
  billing_details: billingDetails.optional(),
  metadata: metadata.optional(),
  allow_redisplay: z.enum(["always", "limited", "unspecified"]).optional(),
});
const createInput = z.strictObject({ ...paymentMethodData.shape, customer: text.optional(), expand });

export const paymentMethodRoutes = [
  route("POST", "/v1/payment_methods", createInput, ({ world, input }) => createPaymentMethod(world, input)),
  route("GET", "/v1/payment_methods/:id", z.strictObject({ expand }), ({ world, params }) =>
    world.paymentMethod(params["id"] ?? "", "id"),
  ),
  route(
    "POST",
    "/v1/payment_methods/:id",
    z.strictObject({
      billing_details: billingDetails.optional(),
      card: z.strictObject({ exp_month: int.optional(), exp_year: int.optional() }).optional(),
      metadata: metadata.optional(),
      allow_redisplay: z.enum(["always", "limited", "unspecified"]).optional(),
      expand,
    }),
    (call) => {
      const row = call.world.paymentMethods.get(idOf(call));
      const { input } = call;
      return call.world.update(
        row,
        {
          metadata: mergeMetadata(row.metadata, input.metadata),
          ...(input.allow_redisplay === undefined ? {} : { allow_redisplay: input.allow_redisplay }),
          ...(input.billing_details === undefined
            ? {}
            : {
                billing_details: {
                  ...row.billing_details,
                  ...input.billing_details,
                } as PaymentMethod["billing_details"],
              }),
          ...(row.card === undefined || input.card === undefined
            ? {}
            : { card: { ...row.card, ...input.card } as NonNullable<PaymentMethod["card"]> }),
        },
        "payment_method.updated",
      );
    },
  ),
  route("POST", "/v1/payment_methods/:id/attach", z.strictObject({ customer: text, expand }), (call) => {
    call.world.customer(call.input.customer, "customer");
    return attachChecked(call.world, idOf(call), call.input.customer, "id");
  }),
  route("POST", "/v1/payment_methods/:id/detach", z.strictObject({ expand }), (call) => {
    const { world } = call;
    const row = world.paymentMethods.get(idOf(call));
    if (row.customer === null) {
      throw invalidRequest(
        "The payment method you provided is not attached to a customer so detachment is impossible.",
      );
    }
    detach(world, row);
    return row;
  }),
  route(
    "GET",
    "/v1/payment_methods",
    z.strictObject({ ...paging, customer: text.optional(), type: text.optional() }),
    ({ world, input, path }) =>
      pageOf(
        world.paymentMethods,
        input,
        path,
        (row) =>
          (input.customer === undefined ? row.customer !== null : row.customer === input.customer) &&
          (input.type === undefined || row.type === input.type),
      ),
  ),
];

export function createPaymentMethod(world: World, input: z.output<typeof createInput>): PaymentMethod {
  if (input.type !== "card") {
    throw invalidRequest(`The payment method type "${input.type}" is invalid: this account takes cards.`, {
      param: "type",
    });
  }
  const { card } = input;
  if (card === undefined)
    throw invalidRequest("Missing required param: card.", { code: "parameter_missing", param: "card" });
  const found =
    card.token === undefined
      ? cardNumbered(card.number ?? "", { month: card.exp_month ?? 12, year: card.exp_year ?? 2034 })
      : cardNamed(card.token);
  if (found === undefined) {
    throw cardDeclined({
      type: "card_error",
      code: "incorrect_number",
      message: "Your card number is incorrect.",
    } as CardError);
  }
  const { address, ...person } = input.billing_details ?? {};
  const method = world.insertCard(found, { metadata: mergeMetadata(null, input.metadata) });
  Object.assign(method.billing_details, person);
  if (typeof address === "object") Object.assign(method.billing_details.address ?? {}, address);
  return method;
}

/** Saves a card with a customer, unless it is one that refuses already then. @throws ApiError 402 */
export function attachChecked(world: World, id: string, customerId: string, param = "payment_method"): PaymentMethod {
  const method = world.paymentMethod(id, param);
  if (method.customer !== null && method.customer !== customerId) {
    throw invalidRequest("The payment method you provided has already been attached to a customer.");
  }
  const behaviour = behaviourOf(method);
  if (behaviour.isRefusedAtAttach === true && behaviour.declines !== undefined) {
    const { code, declineCode, message } = behaviour.declines;
    throw cardDeclined({
      type: "card_error",
      code,
      message,
      ...(declineCode === undefined ? {} : { decline_code: declineCode }),
    } as CardError);
  }
  return attachTo(world, method, customerId);
}
