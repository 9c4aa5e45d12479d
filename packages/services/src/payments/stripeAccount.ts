import { newId, TollgateError } from "@tollgate/kernel";
import Stripe from "stripe";
import type { ServiceContext } from "../context.ts";
import type { Currency } from "./currency.ts";
import { toCurrency } from "./currency.ts";

/** The deployment's account at Stripe. One per process, made at its start and passed in. */
export interface StripeAccount {
  readonly client: Stripe;
  readonly currency: Currency;
  /** Whether real money moves. */
  readonly isLive: boolean;
  /** Of the endpoints that Stripe sends events to: one for live mode, one for test mode, old and new while one is replaced. */
  readonly webhookSecrets: readonly string[];
  /** What pages give to Stripe's library; null where there is none. */
  readonly publishableKey: string | null;
}

/** The context of verbs that deal with money from outside. */
export interface PaymentsContext extends ServiceContext {
  /** Undefined where the deployment takes no payments. */
  readonly stripe?: StripeAccount | undefined;
}

export interface PaymentsVerb<Input> {
  readonly ctx: PaymentsContext;
  readonly input: Input;
}

export interface StripeAccountOptions {
  readonly secretKey: string;
  readonly publishableKey?: string | undefined;
  readonly webhookSecrets: readonly string[];
  /** Three letters; one per deployment. */
  readonly currency: string;
  /** Another server than Stripe's own, as a stand-in is. */
  readonly apiBase?: string | undefined;
  readonly timeoutMs?: number;
}

/** The shapes that the code was written for. The account's own default is never used. */
const API_VERSION = "2026-10-28.endive";
const TIMEOUT_MS = 10_000;
/** A request whose answer was lost is asked again under its idempotency key. */
const RETRIES_MAX = 2;

/** @throws RangeError for a currency that cannot be used */
export function createStripeAccount(options: StripeAccountOptions): StripeAccount {
  const { secretKey, apiBase } = options;
  const client = new Stripe(secretKey, {
    apiVersion: API_VERSION,
    maxNetworkRetries: RETRIES_MAX,
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    telemetry: false,
    appInfo: { name: "Tollgate" },
    ...(apiBase === undefined ? {} : addressOf(apiBase)),
  });
  return {
    client,
    currency: toCurrency(options.currency),
    isLive: /^[rs]k_live_/.test(secretKey),
    webhookSecrets: options.webhookSecrets,
    publishableKey: options.publishableKey ?? null,
  };
}

function addressOf(apiBase: string): { host: string; port: string; protocol: "http" | "https" } {
  const { hostname, port, protocol } = new URL(apiBase);
  const isPlain = protocol === "http:";
  return { host: hostname, port: port === "" ? (isPlain ? "80" : "443") : port, protocol: isPlain ? "http" : "https" };
}

/** @throws TollgateError UNAVAILABLE `payments_off` */
export function requireStripe(ctx: PaymentsContext): StripeAccount {
  if (ctx.stripe === undefined) {
    throw new TollgateError("UNAVAILABLE", "This deployment takes no payments", { reason: "payments_off" });
  }
  return ctx.stripe;
}

/**
 * A key for a write that is right to do again when it is asked for again, such as making another card the default: what
 * is repeated under it is the one request, by the library.
 */
export const keyForOnce = (what: string): string => `${what}:${newId("request")}`;
