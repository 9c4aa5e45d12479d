import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { signatureOf } from "@tollgate/testing/stripe";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestApi } from "../test/testApi.ts";
import { startTestApi, WEBHOOK_SECRET } from "../test/testApi.ts";

/** What Stripe sends, over HTTP, to the control plane as it is deployed. */
let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

const MEBIBYTE = 1024 * 1024;
const secondsNow = () => Math.floor(api.clock.nowMs() / 1_000);
const newEvent = (more: object = {}) => ({
  id: `evt_${newId("event").slice(4)}`,
  type: "customer.updated",
  created: secondsNow(),
  livemode: false,
  data: { object: { id: "cus_x", object: "customer" } },
  ...more,
});

interface Sending {
  readonly secret?: string;
  /** What is signed; what is sent without it. */
  readonly signed?: string;
  readonly ageSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send(body: string, options: Sending = {}) {
  const { secret = WEBHOOK_SECRET, signed = body, ageSeconds = 0 } = options;
  const response = await fetch(`${api.url}/webhooks/stripe`, {
    method: "POST",
    headers: options.headers ?? {
      "content-type": "application/json; charset=utf-8",
      "stripe-signature": signatureOf(signed, secret, secondsNow() - ageSeconds),
    },
    body,
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const kept = (id: string) => api.database.db.select().from(schema.stripeEvents).where(eq(schema.stripeEvents.id, id));
async function jobsFor(id: string): Promise<number> {
  const { outbox } = schema;
  const rows = await api.database.db.select().from(outbox).where(eq(outbox.name, "payments.process-event"));
  return rows.filter(({ payload }) => payload["eventId"] === id).length;
}

describe("an event of Stripe's", () => {
  test("that is signed is kept once and has one job, however many copies come at once", async () => {
    const event = newEvent();
    const text = JSON.stringify(event);
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(text)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(answers.filter(({ body }) => body["isNew"] === true)).toHaveLength(1);
    expect(await send(text)).toEqual({ status: 200, body: { received: true, isNew: false } });
    expect(await kept(event.id)).toMatchObject([{ type: event.type, objectId: "cus_x", isLive: false }]);
    expect(await jobsFor(event.id)).toBe(1);
  });

  test("is taken byte by byte, whatever its writing and its content type", async () => {
    const event = newEvent();
    const text = JSON.stringify(event, null, 3).replace("customer.updated", "customer.\\u0075pdated");
    const headers = {
      "content-type": "text/plain",
      "stripe-signature": signatureOf(text, WEBHOOK_SECRET, secondsNow()),
    };
    expect(await send(text, { headers })).toMatchObject({ status: 200 });
    expect(await kept(event.id)).toMatchObject([{ type: "customer.updated" }]);
  });

  test.each<[string, Sending]>([
    ["signed with another secret", { secret: "whsec_of_somebody" }],
    ["changed on its way", { signed: "{}" }],
    ["not signed", { headers: { "content-type": "application/json" } }],
    ["signed with nonsense", { headers: { "content-type": "application/json", "stripe-signature": "t=1,v1=00" } }],
    ["kept by somebody and sent again an hour later", { ageSeconds: 3_600 }],
  ])("that is %s is refused as a problem, and nothing is kept", async (_, options) => {
    const event = newEvent();
    const answer = await send(JSON.stringify(event), options);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_signature", status: 400 } });
    expect(await kept(event.id)).toEqual([]);
    expect(await jobsFor(event.id)).toBe(0);
  });

  test("of a kind that nobody here knows is kept like any other, so that Stripe does not send it for days", async () => {
    const event = newEvent({ type: "treasury.something.new", data: { object: { object: "treasury" } } });
    expect(await send(JSON.stringify(event))).toMatchObject({ status: 200, body: { isNew: true } });
    expect(await kept(event.id)).toMatchObject([{ type: "treasury.something.new", objectId: "" }]);
  });

  test("that is signed and yet no event is refused", async () => {
    for (const text of ["[]", "null", "not json", JSON.stringify({ id: "evt_half" })]) {
      expect(await send(text)).toMatchObject({ status: 400 });
    }
    expect(await kept("evt_half")).toEqual([]);
  });

  test("that is larger than a mebibyte is refused before anything of it is believed", async () => {
    const event = newEvent({ padding: "x".repeat(MEBIBYTE) });
    expect(await send(JSON.stringify(event))).toMatchObject({ status: 413 });
    expect(await kept(event.id)).toEqual([]);
  });

  test("that overtakes an earlier one holds neither up: both are kept with when they happened", async () => {
    const [earlier, later] = [newEvent({ created: secondsNow() - 60 }), newEvent()];
    for (const event of [later, earlier]) expect(await send(JSON.stringify(event))).toMatchObject({ status: 200 });
    for (const event of [earlier, later]) {
      expect(await kept(event.id)).toMatchObject([{ happenedAt: new Date(event.created * 1_000) }]);
      expect(await jobsFor(event.id)).toBe(1);
    }
  });
});
