import { z } from "zod";
import { invalidRequest } from "../http/apiError.ts";
import { pageOf } from "../http/pages.ts";
import {
  anything,
  bool,
  currency,
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
import { planOf } from "../world/prices.ts";
import type { Price, Product } from "../world/stored.ts";
import type { World } from "../world/world.ts";

const recurringInput = z.strictObject({
  interval: z.enum(["day", "week", "month", "year"]),
  interval_count: int.optional(),
  usage_type: z.enum(["licensed"]).optional(),
});
const productFields = {
  active: bool.optional(),
  description: unsettable.optional(),
  images: z.union([z.array(text), z.literal("")]).optional(),
  metadata: metadata.optional(),
  statement_descriptor: text.optional(),
  tax_code: text.optional(),
  unit_label: text.optional(),
  url: text.optional(),
  expand,
};
const productInput = z.strictObject({
  ...productFields,
  id: text.optional(),
  name: text,
  type: z.enum(["good", "service"]).optional(),
  default_price_data: z
    .strictObject({ currency, unit_amount: int, recurring: recurringInput.optional(), metadata: metadata.optional() })
    .optional(),
});
const priceFields = {
  active: bool.optional(),
  lookup_key: text.optional(),
  metadata: metadata.optional(),
  nickname: text.optional(),
  tax_behavior: z.enum(["exclusive", "inclusive", "unspecified"]).optional(),
  transfer_lookup_key: bool.optional(),
  expand,
};
const priceInput = z.strictObject({
  ...priceFields,
  billing_scheme: z.enum(["per_unit"]).optional(),
  currency,
  product: text.optional(),
  product_data: z.strictObject({ name: text, id: text.optional(), metadata: metadata.optional() }).optional(),
  recurring: recurringInput.optional(),
  unit_amount: int.optional(),
  unit_amount_decimal: text.optional(),
});
/** A price in place, as checkouts and subscription items may give one. */
export const priceData = z.strictObject({
  currency,
  product: text.optional(),
  product_data: z
    .strictObject({
      name: text,
      description: text.optional(),
      images: z.array(text).optional(),
      metadata: metadata.optional(),
    })
    .optional(),
  recurring: recurringInput.optional(),
  tax_behavior: text.optional(),
  unit_amount: int.optional(),
});

export const productRoutes = [
  route("POST", "/v1/products", productInput, ({ world, input }) => {
    const product = insertProduct(world, input);
    world.emit("product.created", product);
    if (input.default_price_data !== undefined) {
      const price = createPrice(world, { ...input.default_price_data, product: product.id });
      world.update(product, { default_price: price.id }, "product.updated");
    }
    return product;
  }),
  route("GET", "/v1/products/:id", z.strictObject({ expand }), (call) => call.world.products.get(idOf(call))),
  route(
    "POST",
    "/v1/products/:id",
    z.strictObject({ ...productFields, name: text.optional(), default_price: text.optional() }),
    (call) => {
      const { world, input } = call;
      const row = world.products.get(idOf(call));
      return world.update(
        row,
        {
          metadata: mergeMetadata(row.metadata, input.metadata),
          updated: world.now(),
          ...(input.active === undefined ? {} : { active: input.active }),
          ...(input.description === undefined ? {} : { description: input.description }),
          ...(input.name === undefined ? {} : { name: input.name }),
          ...(input.default_price === undefined
            ? {}
            : { default_price: world.prices.get(input.default_price, "default_price").id }),
        },
        "product.updated",
      );
    },
  ),
  route("DELETE", "/v1/products/:id", z.strictObject({}), (call) => {
    const { world } = call;
    const row = world.products.get(idOf(call));
    if (world.prices.all().some((price) => price.product === row.id)) {
      throw invalidRequest("This product cannot be deleted because it has one or more user-created prices.");
    }
    world.products.delete(row.id);
    world.emit("product.deleted", row);
    return { id: row.id, object: "product", deleted: true };
  }),
  route(
    "GET",
    "/v1/products",
    z.strictObject({ ...paging, active: bool.optional(), ids: z.array(text).optional(), created: range.optional() }),
    ({ world, input, path }) =>
      pageOf(
        world.products,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.active === undefined || row.active === input.active) &&
          (input.ids === undefined || input.ids.includes(row.id)),
      ),
  ),
];

export const priceRoutes = [
  route("POST", "/v1/prices", priceInput, ({ world, input }) => {
    if (input.product_data === undefined) return createPrice(world, input);
    const product = insertProduct(world, input.product_data);
    world.emit("product.created", product);
    return createPrice(world, { ...input, product: product.id });
  }),
  route("GET", "/v1/prices/:id", z.strictObject({ expand }), (call) => call.world.prices.get(idOf(call))),
  route("POST", "/v1/prices/:id", z.strictObject(priceFields), (call) => {
    const { world, input } = call;
    const row = world.prices.get(idOf(call));
    if (input.lookup_key !== undefined) freeLookupKey(world, input.lookup_key, input.transfer_lookup_key, row.id);
    return world.update(
      row,
      {
        metadata: mergeMetadata(row.metadata, input.metadata),
        ...(input.active === undefined ? {} : { active: input.active }),
        ...(input.nickname === undefined ? {} : { nickname: input.nickname }),
        ...(input.lookup_key === undefined ? {} : { lookup_key: input.lookup_key }),
      },
      "price.updated",
    );
  }),
  route(
    "GET",
    "/v1/prices",
    z.strictObject({
      ...paging,
      active: bool.optional(),
      currency: currency.optional(),
      lookup_keys: z.array(text).optional(),
      product: text.optional(),
      recurring: anything.optional(),
      type: z.enum(["one_time", "recurring"]).optional(),
      created: range.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.prices,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.active === undefined || row.active === input.active) &&
          (input.product === undefined || row.product === input.product) &&
          (input.type === undefined || row.type === input.type) &&
          (input.lookup_keys === undefined || input.lookup_keys.includes(row.lookup_key ?? "")),
      ),
  ),
];

/** The older way of saying a recurring price, which the command-line tool still uses. */
export const planRoutes = [
  route(
    "POST",
    "/v1/plans",
    z.strictObject({
      amount: int,
      currency,
      interval: z.enum(["day", "week", "month", "year"]),
      interval_count: int.optional(),
      metadata: metadata.optional(),
      nickname: text.optional(),
      product: z.union([text, z.strictObject({ name: text })]),
      expand,
    }),
    ({ world, input }) => {
      const product =
        typeof input.product === "string"
          ? world.products.get(input.product, "product")
          : insertProduct(world, input.product);
      const { amount, interval, interval_count } = input;
      const price = createPrice(
        world,
        {
          currency: input.currency,
          unit_amount: amount,
          product: product.id,
          metadata: input.metadata,
          recurring: { interval, interval_count },
        },
        "plan",
      );
      return planOf(price);
    },
  ),
  route("GET", "/v1/plans/:id", z.strictObject({ expand }), (call) => planOf(call.world.prices.get(idOf(call)))),
  route(
    "POST",
    "/v1/plans/:id",
    z.strictObject({ metadata: metadata.optional(), nickname: text.optional(), expand }),
    (call) => {
      const row = call.world.prices.get(idOf(call));
      row.metadata = mergeMetadata(row.metadata, call.input.metadata);
      call.world.emit("plan.updated", planOf(row));
      return planOf(row);
    },
  ),
  route("DELETE", "/v1/plans/:id", z.strictObject({}), (call) => {
    const row = call.world.prices.get(idOf(call));
    call.world.prices.delete(row.id);
    call.world.emit("plan.deleted", planOf(row));
    return { id: row.id, object: "plan", deleted: true };
  }),
];

function insertProduct(
  world: World,
  input: {
    id?: string | undefined;
    name: string;
    description?: string | null | undefined;
    active?: boolean | undefined;
    metadata?: z.output<typeof metadata> | undefined;
  },
): Product {
  if (world.products.find(input.id) !== undefined) {
    throw invalidRequest("Product already exists.", { code: "resource_already_exists", param: "id" });
  }
  return world.products.insert({
    id: input.id ?? world.id("prod"),
    object: "product",
    active: input.active ?? true,
    created: world.now(),
    default_price: null,
    description: input.description ?? null,
    images: [],
    livemode: false,
    marketing_features: [],
    metadata: mergeMetadata(null, input.metadata),
    name: input.name,
    package_dimensions: null,
    shippable: null,
    statement_descriptor: null,
    tax_code: null,
    tax_details: null,
    type: "service",
    unit_label: null,
    updated: world.now(),
    url: null,
  });
}

export function createPrice(
  world: World,
  input: Omit<z.output<typeof priceInput>, "recurring"> & {
    recurring?: { interval: "day" | "week" | "month" | "year"; interval_count?: number | undefined } | undefined;
  },
  as: "price" | "plan" = "price",
): Price {
  if (input.product === undefined)
    throw invalidRequest("Missing required param: product.", { code: "parameter_missing", param: "product" });
  if (input.unit_amount === undefined) {
    throw invalidRequest("Missing required param: unit_amount.", { code: "parameter_missing", param: "unit_amount" });
  }
  const product = world.products.get(input.product, "product");
  if (input.lookup_key !== undefined) freeLookupKey(world, input.lookup_key, input.transfer_lookup_key);
  const price = world.prices.insert({
    id: world.id(as),
    object: "price",
    active: input.active ?? true,
    billing_scheme: "per_unit",
    created: world.now(),
    currency: input.currency,
    custom_unit_amount: null,
    livemode: false,
    lookup_key: input.lookup_key ?? null,
    metadata: mergeMetadata(null, input.metadata),
    nickname: input.nickname ?? null,
    product: product.id,
    recurring:
      input.recurring === undefined
        ? null
        : {
            interval: input.recurring.interval,
            interval_count: input.recurring.interval_count ?? 1,
            meter: null,
            trial_period_days: null,
            usage_type: "licensed",
          },
    tax_behavior: input.tax_behavior ?? "unspecified",
    tiers_mode: null,
    transform_quantity: null,
    type: input.recurring === undefined ? "one_time" : "recurring",
    unit_amount: input.unit_amount,
    unit_amount_decimal: String(input.unit_amount),
  });
  world.emit(`${as}.created`, as === "plan" ? planOf(price) : price);
  return price;
}

function freeLookupKey(world: World, key: string, isTransferred: boolean | undefined, ownId?: string): void {
  for (const other of world.prices.filter((row) => row.lookup_key === key && row.id !== ownId)) {
    if (isTransferred !== true) {
      throw invalidRequest(`A price (${other.id}) already uses that lookup key.`, { param: "lookup_key" });
    }
    world.update(other, { lookup_key: null }, "price.updated");
  }
}
