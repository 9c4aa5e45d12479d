import type { FastifyInstance } from "fastify";
import { ApiError } from "../http/apiError.ts";
import { decodeForm } from "../http/formBody.ts";
import { confirmSetup, refuseSetup } from "../resources/setupIntents.ts";
import { completeCheckout } from "../world/checkout.ts";
import { confirmPayment, detach } from "../world/payments.ts";
import type { CheckoutSession, PortalSession } from "../world/stored.ts";
import { periodEndOf } from "../world/subscriptions.ts";
import type { World } from "../world/world.ts";
import { renderCheckout, renderMessage, renderPortal, renderQuestion } from "./render.ts";

/** Pages that people see at Stripe's: the checkout, the bank's question, the portal, a receipt. */
export function addHostedPages(app: FastifyInstance, world: World, onChange: () => void): void {
  const html = "text/html; charset=utf-8";
  const fieldsOf = (body: unknown): Record<string, unknown> => decodeForm(typeof body === "string" ? body : "");

  app.get<{ Params: { id: string } }>("/c/pay/:id", (request, reply) => {
    const session = world.checkoutSessions.find(request.params.id);
    if (session === undefined) return reply.code(404).type(html).send(renderMessage("This page does not exist."));
    if (session.status !== "open") return reply.type(html).send(renderMessage(`This session is ${session.status}.`));
    return reply.type(html).send(renderCheckout(world, session));
  });

  app.post<{ Params: { id: string } }>("/c/pay/:id", (request, reply) => {
    const session = world.checkoutSessions.find(request.params.id);
    if (session === undefined) return reply.code(404).type(html).send(renderMessage("This page does not exist."));
    const fields = fieldsOf(request.body);
    try {
      const paymentMethod = world.paymentMethod(String(fields["card"] ?? "pm_card_visa"));
      const email = typeof fields["email"] === "string" && fields["email"] !== "" ? fields["email"] : undefined;
      const isAuthenticated = fields["authenticated"] === "yes";
      completeCheckout(world, session, { paymentMethod, email, isAuthenticated });
      onChange();
      if (session.status === "open") {
        const carried = { card: paymentMethod.id, ...(email === undefined ? {} : { email }), authenticated: "yes" };
        return reply.type(html).send(renderQuestion(session.success_url ?? "", `/c/pay/${session.id}`, carried));
      }
      return reply.redirect(successUrl(session), 303);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      onChange();
      return reply
        .code(402)
        .type(html)
        .send(renderCheckout(world, session, error.message));
    }
  });

  app.get<{ Params: { id: string } }>("/authenticate/:id", (request, reply) => {
    const { id } = request.params;
    const intent = world.paymentIntents.find(id) ?? world.setupIntents.find(id);
    if (intent?.status !== "requires_action")
      return reply.code(404).type(html).send(renderMessage("There is nothing to confirm."));
    return reply.type(html).send(renderQuestion("", `/authenticate/${id}`, {}));
  });

  app.post<{ Params: { id: string } }>("/authenticate/:id", (request, reply) => {
    const { id } = request.params;
    const isAgreed = fieldsOf(request.body)["answer"] !== "fail";
    const returnUrl = authenticate(world, id, isAgreed ? "succeed" : "fail");
    onChange();
    return returnUrl === undefined
      ? reply.type(html).send(renderMessage(isAgreed ? "Confirmed. You can close this page." : "Refused."))
      : reply.redirect(returnUrl, 303);
  });

  app.get<{ Params: { id: string } }>("/p/session/:id", (request, reply) => {
    const session = world.portalSessions.find(request.params.id);
    if (session === undefined) return reply.code(404).type(html).send(renderMessage("This page does not exist."));
    return reply.type(html).send(renderPortal(world, session));
  });

  app.post<{ Params: { id: string } }>("/p/session/:id", (request, reply) => {
    const session = world.portalSessions.find(request.params.id);
    if (session === undefined) return reply.code(404).type(html).send(renderMessage("This page does not exist."));
    changeAtPortal(world, session, fieldsOf(request.body));
    onChange();
    return reply.redirect(`/p/session/${session.id}`, 303);
  });

  app.get<{ Params: { id: string } }>("/receipts/:id", (request, reply) => {
    const charge = world.charges.find(request.params.id);
    return charge === undefined
      ? reply.code(404).type(html).send(renderMessage("This page does not exist."))
      : reply
          .type(html)
          .send(renderMessage(`Receipt: ${(charge.amount / 100).toFixed(2)} ${charge.currency.toUpperCase()}`));
  });
}

/** What somebody at the portal asks for: to end a subscription with its period, to keep it, or to remove a card. */
function changeAtPortal(world: World, session: PortalSession, fields: Readonly<Record<string, unknown>>): void {
  const subscription = world.subscriptions.find(String(fields["subscription"] ?? ""));
  if (subscription !== undefined && subscription.customer === session.customer) {
    const isEnding = fields["do"] === "cancel";
    world.update(
      subscription,
      {
        cancel_at_period_end: isEnding,
        cancel_at: isEnding ? periodEndOf(subscription) : null,
        canceled_at: isEnding ? world.now(subscription.customer) : null,
      },
      "customer.subscription.updated",
    );
  }
  const method = world.paymentMethods.find(String(fields["method"] ?? ""));
  if (method !== undefined && method.customer === session.customer) detach(world, method);
}

/**
 * The cardholder answers the bank's question. A refusal leaves the intent asking for another card.
 * @returns where the browser goes next, if the intent says so
 */
export function authenticate(world: World, id: string, answer: "succeed" | "fail"): string | undefined {
  const refusal = {
    code:
      answer === "fail" && id.startsWith("seti_")
        ? "setup_intent_authentication_failure"
        : "payment_intent_authentication_failure",
    message:
      "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
  } as const;
  const setup = world.setupIntents.find(id);
  if (setup !== undefined) {
    const url = setup.next_action?.redirect_to_url?.return_url ?? undefined;
    const method = world.paymentMethods.get(setup.payment_method ?? "");
    if (answer === "succeed") confirmSetup(world, setup, { isAuthenticated: true });
    else {
      try {
        refuseSetup(world, setup, method, refusal);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
      }
    }
    return url;
  }
  const intent = world.paymentIntents.get(id);
  const url = intent.next_action?.redirect_to_url?.return_url ?? undefined;
  const method = world.paymentMethods.get(intent.payment_method ?? "");
  if (answer === "succeed") {
    confirmPayment(world, intent, method, { isOffSession: false, isAuthenticated: true });
    return url;
  }
  Object.assign(intent, {
    status: "requires_payment_method",
    next_action: null,
    payment_method: null,
    last_payment_error: { type: "card_error", ...refusal, payment_method: structuredClone(method) },
  });
  world.emit("payment_intent.payment_failed", intent);
  world.onPayment(intent);
  return url;
}

export const successUrl = (session: CheckoutSession): string =>
  (session.success_url ?? "").replaceAll("{CHECKOUT_SESSION_ID}", session.id);
