import { createHmac } from "node:crypto";
import type { StoredEvent, WebhookEndpoint } from "./stored.ts";
import type { World } from "./world.ts";

/** How events reach the endpoints that listen. */
export interface DeliveryPlan {
  /** Each delivery so many times: Stripe promises at least one. */
  readonly copies?: number;
  /** In any order; Stripe promises none. */
  readonly isShuffled?: boolean;
  /** Not at all, until {@link Deliveries.release}: a test delivers by its own hand. */
  readonly isHeld?: boolean;
  /** Waits between the attempts at a delivery that was not answered with 2xx. */
  readonly retryAfterMs?: readonly number[];
}

export interface Attempt {
  readonly eventId: string;
  readonly type: string;
  readonly endpointId: string;
  /** What the endpoint answered; 0 if it did not. */
  readonly status: number;
}

const RETRY_AFTER_MS = [50, 100, 250, 500, 1_000, 2_000];
const TIMEOUT_MS = 10_000;

/** Sends events to the account's webhook endpoints, signed as Stripe signs, until they say that they have them. */
export class Deliveries {
  readonly attempts: Attempt[] = [];
  readonly #world: World;
  readonly #underway = new Set<Promise<void>>();
  #waiting: StoredEvent[] = [];
  #plan: DeliveryPlan = {};
  #isScheduled = false;
  #isClosed = false;

  constructor(world: World) {
    this.#world = world;
    world.onEvent((event) => {
      this.#waiting.push(event);
      this.#schedule();
    });
  }

  plan(plan: DeliveryPlan): void {
    this.#plan = plan;
    this.#schedule();
  }

  /** Events that nobody has been sent because the plan holds them, oldest first. */
  get held(): readonly StoredEvent[] {
    return this.#waiting;
  }

  /** Sends what was held, or lets go of it. */
  release(options: { readonly isDropped?: boolean } = {}): void {
    if (options.isDropped === true) this.#waiting = [];
    this.#plan = { ...this.#plan, isHeld: false };
    this.#schedule();
  }

  /** Sends one event now, whatever the plan, once to each endpoint. */
  async deliver(event: StoredEvent): Promise<void> {
    await Promise.all(this.#endpointsOf(event).map((endpoint) => this.#send(event, endpoint)));
  }

  /** Resolves when everything that was to be sent was, and taken or given up. */
  async settled(): Promise<void> {
    while (this.#isScheduled || this.#underway.size > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      await Promise.allSettled(this.#underway);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
  }

  /** A request causes several events: they leave together, when it is over. */
  #schedule(): void {
    if (this.#isScheduled || this.#plan.isHeld === true || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#plan.isHeld !== true) this.#flush();
    });
  }

  #flush(): void {
    const events = this.#waiting;
    this.#waiting = [];
    const copies = this.#plan.copies ?? 1;
    const all = Array.from({ length: copies }, () => events).flat();
    const ordered = this.#plan.isShuffled === true ? shuffled(all) : all;
    const work = (async () => {
      for (const event of ordered) {
        const sending = this.#endpointsOf(event).map((endpoint) => this.#sendUntilTaken(event, endpoint));
        if (this.#plan.isShuffled === true) for (const one of sending) this.#track(one);
        else await Promise.all(sending);
      }
    })();
    this.#track(work);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#underway.delete(tracked));
    this.#underway.add(tracked);
  }

  #endpointsOf(event: StoredEvent): WebhookEndpoint[] {
    return this.#world.webhookEndpoints.filter(
      ({ status, enabled_events }) =>
        status === "enabled" && (enabled_events.includes("*") || enabled_events.includes(event.type)),
    );
  }

  async #sendUntilTaken(event: StoredEvent, endpoint: WebhookEndpoint): Promise<void> {
    for (const waitMs of [...(this.#plan.retryAfterMs ?? RETRY_AFTER_MS), undefined]) {
      const isTaken = await this.#send(event, endpoint);
      if (isTaken || waitMs === undefined || this.#isClosed) return;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  async #send(event: StoredEvent, endpoint: WebhookEndpoint): Promise<boolean> {
    const body = JSON.stringify(event, null, 2);
    let status = 0;
    try {
      const answer = await fetch(endpoint.url, {
        method: "POST",
        headers: {
          "content-type": "application/json; charset=utf-8",
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
          "stripe-signature": signatureOf(body, endpoint.secret ?? "", Math.floor(this.#world.clock.nowMs() / 1_000)),
        },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      status = answer.status;
      await answer.arrayBuffer();
    } catch {
      status = 0;
    }
    this.attempts.push({ eventId: event.id, type: event.type, endpointId: endpoint.id, status });
    return status >= 200 && status < 300;
  }
}

/**
 * The header that proves who sent a body: `t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">`
 * (https://docs.stripe.com/webhooks#verify-manually).
 */
export function signatureOf(body: string, secret: string, seconds = Math.floor(Date.now() / 1_000)): string {
  const digest = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${digest}`;
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  const copy = [...items];
  for (let index = copy.length - 1; index > 0; index -= 1) {
    const other = Math.floor(Math.random() * (index + 1));
    [copy[index], copy[other]] = [copy[other] as Item, copy[index] as Item];
  }
  return copy;
}
