import type { Invoice, PostalAddress } from "@tollgate/contracts";
import type { Micros } from "@tollgate/kernel";
import { localDate, subtractMicros, ZERO_MICROS } from "@tollgate/kernel";
import { formatColumn, groupDigits } from "../formatMoney.ts";

/** What an invoice says, in the words and the order of every document that is made of it. */
export interface InvoiceText {
  readonly title: string;
  readonly number: string;
  readonly status: string;
  readonly facts: readonly (readonly [label: string, value: string])[];
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly lines: readonly {
    readonly description: string;
    readonly project: string;
    readonly quantity: string;
    readonly unitPrice: string;
    readonly amount: string;
  }[];
  readonly totals: readonly (readonly [label: string, value: string])[];
  readonly note: string | null;
}

const TITLES = { usage: "Invoice", subscription: "Invoice", credit_note: "Credit note" } as const;
const DAY_MS = 86_400_000;

export function describeInvoice(invoice: Invoice): InvoiceText {
  const { lines, currency } = invoice;
  const price = formatColumn(
    lines.map((line) => line.unitPriceMicros),
    currency,
  );
  const money = formatColumn(
    [...lines.map((line) => line.amountMicros), invoice.totalMicros, invoice.dueMicros],
    currency,
  );
  return {
    title: TITLES[invoice.kind],
    number: invoice.number ?? "Without number",
    status:
      invoice.kind === "credit_note" && invoice.status !== "void"
        ? "Credited"
        : { draft: "Draft", final: "Open", paid: "Paid", void: "Void" }[invoice.status],
    facts: [
      ["Date", formatDay(invoice.finalizedAt ?? invoice.createdAt, invoice.timeZone)],
      ["Period", describePeriod(invoice)],
      ["Account", invoice.billingAccountId],
      ["Currency", currency.toUpperCase()],
    ],
    from: party(invoice.seller),
    to: party(invoice.customer),
    lines: lines.map((line) => ({
      description: line.description,
      project: line.projectId ?? "",
      quantity: groupDigits(line.quantity),
      unitPrice: price(line.unitPriceMicros),
      amount: money(line.amountMicros),
    })),
    totals: totalsOf(invoice, money),
    note: invoice.reason,
  };
}

function totalsOf(invoice: Invoice, money: (amount: Micros) => string): [string, string][] {
  if (invoice.kind === "credit_note") {
    return [["Total credited", money(subtractMicros(ZERO_MICROS, invoice.totalMicros))]];
  }
  return [
    ["Total", money(invoice.totalMicros)],
    ["Paid", money(subtractMicros(invoice.totalMicros, invoice.dueMicros))],
    ["Amount due", money(invoice.dueMicros)],
  ];
}

function party(of: Invoice["seller"]): string[] {
  return [
    of.name,
    ...(of.address === null ? [] : addressLines(of.address)),
    of.email,
    of.taxId && `Tax ID ${of.taxId}`,
  ].filter((line): line is string => typeof line === "string" && line !== "");
}

function addressLines(address: PostalAddress): string[] {
  const city = [address.postalCode, address.city].filter(Boolean).join(" ");
  const place = address.region === null ? city : `${city}, ${address.region}`;
  const country = new Intl.DisplayNames("en", { type: "region" }).of(address.country) ?? address.country;
  return [address.line1, address.line2 ?? "", place, country].filter((line) => line !== "");
}

const MONTHS = "January February March April May June July August September October November December".split(" ");
/** A day of a time zone as people write it: `24 November 2026`. */
export function formatDay(at: Date, timeZone: string): string {
  const [year, month, day] = localDate(at.getTime(), timeZone).split("-");
  return `${Number(day)} ${MONTHS[Number(month) - 1]} ${year}`;
}

/** From the first day of a period to its last. */
export function describePeriod(of: Pick<Invoice, "periodStart" | "periodEnd" | "timeZone">): string {
  // A period ends at the midnight after its last day.
  const lastDay = new Date(Math.max(of.periodEnd.getTime() - DAY_MS / 2, of.periodStart.getTime()));
  return `${formatDay(of.periodStart, of.timeZone)} – ${formatDay(lastDay, of.timeZone)}`;
}
