import { checkoutLines } from "../resources/checkoutSessions.ts";
import { intentOf } from "../world/invoices.ts";
import type { Charge, CheckoutSession, Customer, Invoice } from "../world/stored.ts";
import type { World } from "../world/world.ts";
import { invalidRequest } from "./apiError.ts";
import { innerList } from "./pages.ts";

type Json = Record<string, unknown>;

/** Fields that an answer has only when they are asked for, by the kind of object. */
const ON_DEMAND: Readonly<Record<string, Readonly<Record<string, (world: World, row: never) => unknown>>>> = {
  charge: {
    refunds: (world, row: Charge) =>
      innerList(world.refunds.filter((refund) => refund.charge === row.id).reverse(), `/v1/charges/${row.id}/refunds`),
  },
  customer: {
    sources: (_, row: Customer) => innerList([], `/v1/customers/${row.id}/sources`),
    subscriptions: (world, row: Customer) =>
      innerList(
        world.subscriptions.filter((one) => one.customer === row.id && one.status !== "canceled").reverse(),
        `/v1/customers/${row.id}/subscriptions`,
      ),
  },
  "checkout.session": { line_items: (world, row: CheckoutSession) => checkoutLines(world, row) },
  invoice: {
    payments: (world, row: Invoice) =>
      innerList(
        world.invoicePayments.filter((payment) => payment.invoice === row.id),
        `/v1/invoices/${row.id}/payments`,
      ),
    confirmation_secret: (world, row: Invoice) => {
      const secret = intentOf(world, row)?.client_secret;
      return row.status === "open" && typeof secret === "string"
        ? { client_secret: secret, type: "payment_intent" }
        : null;
    },
  },
};

const DEPTH_MAX = 4;

/**
 * A copy of an answer with the references in `paths` replaced by what they refer to. `data.` reaches into the rows of a
 * list. @throws ApiError for a field that cannot be expanded
 */
export function expanded(world: World, answer: object, paths: readonly string[] | undefined): object {
  const copy = structuredClone(answer) as Json;
  for (const path of paths ?? []) {
    const parts = path.split(".");
    if (parts.filter((part) => part !== "data").length > DEPTH_MAX) {
      throw invalidRequest(`You cannot expand more than ${DEPTH_MAX} levels of a property.`, { param: "expand" });
    }
    expandPath(world, copy, parts, path);
  }
  return copy;
}

function expandPath(world: World, target: Json, parts: readonly string[], path: string): void {
  const [part, ...rest] = parts;
  if (part === undefined) return;
  const value = expandField(world, target, part, path);
  for (const inner of Array.isArray(value) ? value : [value]) {
    if (typeof inner === "object" && inner !== null) expandPath(world, inner as Json, rest, path);
  }
}

function expandField(world: World, target: Json, part: string, path: string): unknown {
  const make = ON_DEMAND[String(target["object"])]?.[part];
  if (make !== undefined && target[part] === undefined) target[part] = structuredClone(make(world, target as never));
  const value = target[part];
  if (value === undefined) {
    throw invalidRequest(`This property cannot be expanded (${path}).`, { param: "expand" });
  }
  if (typeof value === "string") {
    const found = world.findObject(value);
    if (found !== undefined) target[part] = structuredClone(found);
  } else if (Array.isArray(value)) {
    target[part] = value.map((one: unknown) =>
      typeof one === "string" ? structuredClone(world.findObject(one) ?? one) : one,
    );
  }
  return target[part];
}
