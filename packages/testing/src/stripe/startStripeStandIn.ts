import { readFile, rename, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import type { Clock } from "@tollgate/kernel";
import { randomBase62, systemClock } from "@tollgate/kernel";
import type { Fault } from "./http/faults.ts";
import { Faults } from "./http/faults.ts";
import { IdempotencyKeys } from "./http/idempotency.ts";
import { createApi } from "./http/server.ts";
import { addHostedPages, authenticate, successUrl } from "./pages/hostedPages.ts";
import { completeCheckout } from "./world/checkout.ts";
import { Deliveries } from "./world/deliveries.ts";
import { closeDispute, openDispute } from "./world/disputes.ts";
import { failRefund, settleRefund } from "./world/refunds.ts";
import type { CheckoutSession, Dispute, Refund, WebhookEndpoint } from "./world/stored.ts";
import { connect, runUntil } from "./world/timeline.ts";
import type { DunningPolicy } from "./world/world.ts";
import { World } from "./world/world.ts";

export interface StripeStandInOptions {
  /** The clock of everything without a test clock; the real one when not said. */
  readonly clock?: Clock;
  /** Port 0, the default, means any. */
  readonly port?: number;
  readonly secretKey?: string;
  readonly publishableKey?: string;
  /** An endpoint that is there from the start, and its secret. */
  readonly webhook?: { readonly url: string; readonly secret?: string; readonly events?: readonly string[] };
  readonly dunning?: DunningPolicy;
  /** Where to keep everything between two starts. */
  readonly file?: string;
}

/** Stripe on this machine: for development without an account, and for tests that want to see what goes wrong. */
export interface StripeStandIn {
  /** Where it answers, without a trailing slash: the library's `host`, `port` and `protocol`, or `STRIPE_API_BASE`. */
  readonly url: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  /** The signing secret of the endpoint that was given at the start or added first. */
  readonly webhookSecret: string;
  readonly world: World;
  readonly deliveries: Deliveries;
  /** What was asked so far: `POST /v1/payment_intents`. */
  readonly requests: { readonly request: string; readonly idempotencyKey: string | undefined }[];
  addWebhook(url: string, options?: { readonly secret?: string; readonly events?: readonly string[] }): WebhookEndpoint;
  /** Does what is due by its clock: call it after moving an injected one. A customer with a test clock has time of their own. */
  catchUp(): void;
  /** Makes something go wrong with a coming request. */
  failNext(fault: Fault): void;
  /** Everything takes so long, until told otherwise. */
  slowDown(delayMs: number): void;
  clearFaults(): void;
  /** The cardholder answers the bank's question about a payment or a set-up. */
  authenticate(intentId: string, answer?: "succeed" | "fail"): void;
  /** Somebody at the hosted page pays. @throws ApiError 402 for a card that is refused */
  completeCheckout(
    sessionId: string,
    options?: { readonly card?: string; readonly email?: string; readonly isAuthenticated?: boolean },
  ): CheckoutSession;
  /** Where the browser of a completed session went. */
  successUrl(sessionId: string): string;
  openDispute(chargeId: string, options?: { readonly reason?: string; readonly amount?: number }): Dispute;
  closeDispute(disputeId: string, outcome: "won" | "lost"): Dispute;
  failRefund(refundId: string): Refund;
  settleRefund(refundId: string): Refund;
  stop(): Promise<void>;
}

const SAVE_AFTER_MS = 200;

/** Starts a stand-in. It listens on this machine alone. */
export async function startStripeStandIn(options: StripeStandInOptions = {}): Promise<StripeStandIn> {
  const world = new World({
    clock: options.clock ?? systemClock,
    ...(options.dunning === undefined ? {} : { dunning: options.dunning }),
  });
  connect(world);
  if (options.file !== undefined) await loadState(world, options.file);
  const deliveries = new Deliveries(world);
  const faults = new Faults();
  const requests: StripeStandIn["requests"] = [];
  const secretKey = options.secretKey ?? `sk_test_${randomBase62(32)}`;
  const publishableKey = options.publishableKey ?? `pk_test_${randomBase62(32)}`;
  const saver = createSaver(world, options.file);
  const app = createApi({
    world,
    secretKey,
    publishableKey,
    idempotency: new IdempotencyKeys(),
    faults,
    onRequest: (request, idempotencyKey) => requests.push({ request, idempotencyKey }),
    onChange: saver.schedule,
  });
  addHostedPages(app, world, saver.schedule);
  await app.listen({ host: "127.0.0.1", port: options.port ?? 0 });
  world.url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const addWebhook: StripeStandIn["addWebhook"] = (url, { secret, events } = {}) =>
    addEndpoint(world, url, secret, events);
  const first = options.webhook === undefined ? undefined : addWebhook(options.webhook.url, options.webhook);

  return {
    url: world.url,
    secretKey,
    publishableKey,
    get webhookSecret() {
      return first?.secret ?? world.webhookEndpoints.all()[0]?.secret ?? "";
    },
    world,
    deliveries,
    requests,
    addWebhook,
    catchUp: () => runUntil(world, world.now(), null),
    failNext: (fault) => faults.add(fault),
    slowDown: (delayMs) => {
      faults.delayMs = delayMs;
    },
    clearFaults: () => faults.clear(),
    authenticate: (id, answer = "succeed") => void authenticate(world, id, answer),
    completeCheckout: (id, { card = "pm_card_visa", email, isAuthenticated } = {}) =>
      completeCheckout(world, world.checkoutSessions.get(id), {
        paymentMethod: world.paymentMethod(card),
        email,
        isAuthenticated: isAuthenticated === true,
      }),
    successUrl: (id) => successUrl(world.checkoutSessions.get(id)),
    openDispute: (id, { reason = "fraudulent", amount } = {}) =>
      openDispute(world, world.charges.get(id), { reason, amount }),
    closeDispute: (id, outcome) => closeDispute(world, world.disputes.get(id), outcome),
    failRefund: (id) => failRefund(world, world.refunds.get(id)),
    settleRefund: (id) => settleRefund(world, world.refunds.get(id)),
    stop: async () => {
      deliveries.close();
      await app.close();
      await saver.stop();
    },
  };
}

function addEndpoint(world: World, url: string, secret?: string, events?: readonly string[]): WebhookEndpoint {
  // An endpoint that an earlier start kept is this one under another secret or address.
  for (const old of world.webhookEndpoints.filter((row) => row.url === url)) world.webhookEndpoints.delete(old.id);
  return world.webhookEndpoints.insert({
    id: world.id("we"),
    object: "webhook_endpoint",
    api_version: null,
    application: null,
    created: world.now(),
    description: null,
    enabled_events: [...(events ?? ["*"])],
    livemode: false,
    metadata: {},
    secret: secret ?? world.id("whsec"),
    status: "enabled",
    url,
  });
}

async function loadState(world: World, file: string): Promise<void> {
  try {
    world.load(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Writes everything to the file a moment after it has changed, and when it ends. */
function createSaver(world: World, file: string | undefined): { schedule: () => void; stop: () => Promise<void> } {
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  const save = (): void => {
    timer = undefined;
    if (file === undefined) return;
    const text = JSON.stringify(world);
    writing = writing.then(async () => {
      await writeFile(`${file}.draft`, text, { mode: 0o600 });
      await rename(`${file}.draft`, file);
    });
  };
  return {
    schedule: () => {
      if (file !== undefined) timer ??= setTimeout(save, SAVE_AFTER_MS);
    },
    stop: async () => {
      clearTimeout(timer);
      save();
      await writing;
    },
  };
}
