import { z } from "zod";
import { invalidRequest } from "../http/apiError.ts";
import { pageOf, pageOfRows } from "../http/pages.ts";
import {
  anything,
  bool,
  expand,
  given,
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
import { attachTo } from "../world/payments.ts";
import type { Customer } from "../world/stored.ts";
import { cancelSubscription } from "../world/subscriptions.ts";
import type { World } from "../world/world.ts";
import { attachChecked } from "./paymentMethods.ts";

const invoiceSettings = z.strictObject({
  default_payment_method: unsettable.optional(),
  custom_fields: anything.optional(),
  footer: unsettable.optional(),
  rendering_options: anything.optional(),
});

const fields = {
  address: anything.optional(),
  balance: int.optional(),
  description: unsettable.optional(),
  email: unsettable.optional(),
  expand,
  invoice_prefix: text.optional(),
  invoice_settings: invoiceSettings.optional(),
  metadata: metadata.optional(),
  name: unsettable.optional(),
  next_invoice_sequence: int.optional(),
  phone: unsettable.optional(),
  preferred_locales: z.array(text).optional(),
  shipping: anything.optional(),
  source: text.optional(),
  tax_exempt: z.enum(["none", "exempt", "reverse"]).optional(),
};
const createInput = z.strictObject({
  ...fields,
  payment_method: text.optional(),
  tax: anything.optional(),
  tax_id_data: anything.optional(),
  test_clock: text.optional(),
});
const updateInput = z.strictObject({ ...fields, default_source: text.optional(), validate: bool.optional() });
type Fields = Partial<z.output<typeof createInput>>;

export const customerRoutes = [
  route("POST", "/v1/customers", createInput, ({ world, input }) => createCustomer(world, input)),
  route("GET", "/v1/customers/:id", z.strictObject({ expand }), (call) => {
    const deleted = call.world.deleted.find(idOf(call));
    return deleted ?? call.world.customer(idOf(call));
  }),
  route("POST", "/v1/customers/:id", updateInput, (call) => {
    const { world, input } = call;
    const customer = world.customer(idOf(call));
    const source =
      input.source === undefined
        ? undefined
        : attachTo(world, world.paymentMethod(input.source, "source"), customer.id);
    return world.update(
      customer,
      { ...changesOf(world, customer, input), ...(source === undefined ? {} : { default_source: source.id }) },
      "customer.updated",
    );
  }),
  route("DELETE", "/v1/customers/:id", z.strictObject({}), (call) => deleteCustomer(call.world, idOf(call))),
  route(
    "GET",
    "/v1/customers",
    z.strictObject({ ...paging, created: range.optional(), email: text.optional(), test_clock: text.optional() }),
    ({ world, input, path }) =>
      pageOf(
        world.customers,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.email === undefined || row.email === input.email) &&
          (row.test_clock ?? undefined) === input.test_clock,
      ),
  ),
  route(
    "GET",
    "/v1/customers/search",
    z.strictObject({ query: text, limit: int.optional(), page: text.optional(), expand }),
    ({ world, input, path }) => {
      const match = /^(email|metadata\['([^']+)'\]):'([^']*)'$/.exec(input.query);
      if (match === null)
        throw invalidRequest("The stand-in searches by email:'…' and metadata['…']:'…' alone", { param: "query" });
      const [, , name, wanted] = match;
      const rows = world.customers.filter((row) => (name === undefined ? row.email : row.metadata[name]) === wanted);
      return { ...pageOfRows(rows.reverse(), { limit: input.limit }, path), object: "search_result", next_page: null };
    },
  ),
  route(
    "GET",
    "/v1/customers/:id/payment_methods",
    z.strictObject({ ...paging, type: text.optional(), allow_redisplay: text.optional() }),
    (call) => {
      const customer = call.world.customer(idOf(call), "customer");
      return pageOf(
        call.world.paymentMethods,
        call.input,
        call.path,
        (row) => row.customer === customer.id && (call.input.type === undefined || row.type === call.input.type),
      );
    },
  ),
  route("GET", "/v1/customers/:id/payment_methods/:method", z.strictObject({ expand }), (call) => {
    const row = call.world.paymentMethods.get(idOf(call, "method"));
    if (row.customer !== idOf(call)) throw invalidRequest("The payment method belongs to another customer.");
    return row;
  }),
  route("POST", "/v1/customers/:id/sources", z.strictObject({ source: text, expand }), (call) =>
    attachTo(call.world, call.world.paymentMethod(call.input.source, "source"), call.world.customer(idOf(call)).id),
  ),
];

export function createCustomer(world: World, input: Fields): Customer {
  const testClock = input.test_clock === undefined ? null : world.testClocks.get(input.test_clock, "test_clock").id;
  const id = world.id("cus");
  const customer = world.customers.insert({
    id,
    object: "customer",
    address: null,
    balance: 0,
    created: testClock === null ? world.now() : world.testClocks.get(testClock).frozen_time,
    currency: null,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: null,
    discount: null,
    email: null,
    invoice_prefix: id.slice(-8).toUpperCase(),
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: false,
    metadata: {},
    name: null,
    next_invoice_sequence: 1,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: "none",
    test_clock: testClock,
  });
  const card = input.payment_method ?? input.source;
  const attached = card === undefined ? undefined : attachChecked(world, card, id);
  const settings =
    attached !== undefined && input.invoice_settings?.default_payment_method === card
      ? { ...input.invoice_settings, default_payment_method: attached.id }
      : input.invoice_settings;
  Object.assign(customer, changesOf(world, customer, { ...input, invoice_settings: settings }));
  if (input.source !== undefined) customer.default_source = attached?.id ?? null;
  world.emit("customer.created", customer);
  return customer;
}

function changesOf(world: World, customer: Customer, input: Fields): Partial<Customer> {
  const settings = input.invoice_settings;
  const method = settings?.default_payment_method;
  if (typeof method === "string") {
    const row = world.paymentMethods.get(method, "invoice_settings[default_payment_method]");
    if (row.customer !== customer.id) {
      throw invalidRequest(
        `The customer does not have a payment method with the ID ${method}. The payment method must be attached to the customer.`,
        { code: "resource_missing", param: "invoice_settings[default_payment_method]" },
      );
    }
  }
  return given({
    address: input.address === undefined ? undefined : ((input.address || null) as Customer["address"]),
    balance: input.balance,
    description: input.description,
    email: input.email,
    metadata: input.metadata === undefined ? undefined : mergeMetadata(customer.metadata, input.metadata),
    name: input.name,
    phone: input.phone,
    preferred_locales: input.preferred_locales,
    shipping: input.shipping === undefined ? undefined : ((input.shipping || null) as Customer["shipping"]),
    tax_exempt: input.tax_exempt,
    invoice_settings:
      method === undefined ? undefined : { ...customer.invoice_settings, default_payment_method: method },
  });
}

function deleteCustomer(world: World, id: string): object {
  const gone = world.deleted.find(id);
  if (gone !== undefined) return gone;
  const customer = world.customer(id);
  for (const subscription of world.subscriptions.filter((row) => row.customer === id)) {
    if (subscription.status !== "canceled" && subscription.status !== "incomplete_expired") {
      cancelSubscription(world, subscription);
    }
  }
  for (const method of world.paymentMethods.filter((row) => row.customer === id))
    world.paymentMethods.delete(method.id);
  world.customers.delete(id);
  world.emit("customer.deleted", customer);
  return world.deleted.insert({ id, object: "customer", deleted: true });
}
