import { z } from "zod";
import { invalidRequest } from "../http/apiError.ts";
import { pageOf } from "../http/pages.ts";
import {
  anything,
  bool,
  expand,
  int,
  isInRange,
  mergeMetadata,
  metadata,
  paging,
  range,
  text,
} from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import { runUntil } from "../world/timeline.ts";
import { API_VERSION } from "../world/world.ts";

/** What belongs to the account and not to one of its customers: the portal, events, who is told of them, and test clocks. */
export const portalRoutes = [
  route(
    "POST",
    "/v1/billing_portal/sessions",
    z.strictObject({
      customer: text,
      configuration: text.optional(),
      flow_data: anything.optional(),
      locale: text.optional(),
      return_url: text.optional(),
      expand,
    }),
    ({ world, input }) => {
      const customer = world.customer(input.customer, "customer");
      const id = world.id("bps");
      return world.portalSessions.insert({
        id,
        object: "billing_portal.session",
        configuration: "bpc_standin",
        created: world.now(customer.id),
        customer: customer.id,
        customer_account: null,
        flow: null,
        livemode: false,
        locale: null,
        on_behalf_of: null,
        return_url: input.return_url ?? null,
        url: `${world.url}/p/session/${id}`,
      });
    },
  ),
];

export const eventRoutes = [
  route("GET", "/v1/events/:id", z.strictObject({ expand }), (call) => call.world.events.get(idOf(call))),
  route(
    "GET",
    "/v1/events",
    z.strictObject({
      ...paging,
      created: range.optional(),
      type: text.optional(),
      types: z.array(text).optional(),
      delivery_success: bool.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.events,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.type === undefined || matches(row.type, input.type)) &&
          (input.types === undefined || input.types.includes(row.type)),
      ),
  ),
];

/** `invoice.*` stands for all of them. */
const matches = (type: string, wanted: string): boolean =>
  wanted === "*" || type === wanted || (wanted.endsWith(".*") && type.startsWith(wanted.slice(0, -1)));

export const webhookEndpointRoutes = [
  route(
    "POST",
    "/v1/webhook_endpoints",
    z.strictObject({
      url: text,
      enabled_events: z.array(text).min(1),
      api_version: text.optional(),
      description: text.optional(),
      metadata: metadata.optional(),
      connect: bool.optional(),
      expand,
    }),
    ({ world, input }) => {
      if (!URL.canParse(input.url)) throw invalidRequest("Invalid URL", { code: "url_invalid", param: "url" });
      const secret = world.id("whsec");
      const row = world.webhookEndpoints.insert({
        id: world.id("we"),
        object: "webhook_endpoint",
        api_version: input.api_version ?? API_VERSION,
        application: null,
        created: world.now(),
        description: input.description ?? null,
        enabled_events: input.enabled_events,
        livemode: false,
        metadata: mergeMetadata(null, input.metadata),
        secret,
        status: "enabled",
        url: input.url,
      });
      return row;
    },
  ),
  route("GET", "/v1/webhook_endpoints/:id", z.strictObject({ expand }), (call) => {
    const { secret: _, ...shown } = call.world.webhookEndpoints.get(idOf(call));
    return shown;
  }),
  route(
    "POST",
    "/v1/webhook_endpoints/:id",
    z.strictObject({
      url: text.optional(),
      enabled_events: z.array(text).min(1).optional(),
      disabled: bool.optional(),
      description: text.optional(),
      metadata: metadata.optional(),
      expand,
    }),
    (call) => {
      const row = call.world.webhookEndpoints.get(idOf(call));
      const { input } = call;
      Object.assign(row, {
        metadata: mergeMetadata(row.metadata, input.metadata),
        ...(input.url === undefined ? {} : { url: input.url }),
        ...(input.enabled_events === undefined ? {} : { enabled_events: input.enabled_events }),
        ...(input.disabled === undefined ? {} : { status: input.disabled ? "disabled" : "enabled" }),
      });
      const { secret: _, ...shown } = row;
      return shown;
    },
  ),
  route("DELETE", "/v1/webhook_endpoints/:id", z.strictObject({}), (call) => {
    const row = call.world.webhookEndpoints.get(idOf(call));
    call.world.webhookEndpoints.delete(row.id);
    return { id: row.id, object: "webhook_endpoint", deleted: true };
  }),
  route("GET", "/v1/webhook_endpoints", z.strictObject(paging), ({ world, input, path }) => {
    const page = pageOf(world.webhookEndpoints, input, path);
    return { ...page, data: page.data.map(({ secret: _, ...shown }) => shown) };
  }),
];

const CLOCK_DAYS = 30;

export const testClockRoutes = [
  route(
    "POST",
    "/v1/test_helpers/test_clocks",
    z.strictObject({ frozen_time: int, name: text.optional(), expand }),
    ({ world, input }) => {
      const clock = world.testClocks.insert({
        id: world.id("clock"),
        object: "test_helpers.test_clock",
        created: world.now(),
        deletes_after: world.now() + CLOCK_DAYS * 86_400,
        frozen_time: input.frozen_time,
        livemode: false,
        name: input.name ?? null,
        status: "ready",
        status_details: {},
      });
      world.emit("test_helpers.test_clock.created", clock);
      return clock;
    },
  ),
  route("GET", "/v1/test_helpers/test_clocks/:id", z.strictObject({ expand }), (call) =>
    call.world.testClocks.get(idOf(call)),
  ),
  route("GET", "/v1/test_helpers/test_clocks", z.strictObject(paging), ({ world, input, path }) =>
    pageOf(world.testClocks, input, path),
  ),
  route("POST", "/v1/test_helpers/test_clocks/:id/advance", z.strictObject({ frozen_time: int, expand }), (call) => {
    const { world, input } = call;
    const clock = world.testClocks.get(idOf(call));
    if (input.frozen_time <= clock.frozen_time) {
      throw invalidRequest("The time to advance to must be after the clock's present time.", { param: "frozen_time" });
    }
    world.emit("test_helpers.test_clock.advancing", { ...clock, status: "advancing" });
    runUntil(world, input.frozen_time, clock.id);
    world.emit("test_helpers.test_clock.ready", clock);
    return clock;
  }),
  route("DELETE", "/v1/test_helpers/test_clocks/:id", z.strictObject({}), (call) => {
    const { world } = call;
    const clock = world.testClocks.get(idOf(call));
    const customers = world.customers.filter((row) => row.test_clock === clock.id);
    for (const subscription of world.subscriptions.filter((row) => row.test_clock === clock.id)) {
      world.subscriptions.delete(subscription.id);
    }
    for (const customer of customers) world.customers.delete(customer.id);
    world.testClocks.delete(clock.id);
    world.emit("test_helpers.test_clock.deleted", clock);
    return { id: clock.id, object: "test_helpers.test_clock", deleted: true };
  }),
];
