import type { Invoice, PostalAddress } from "@tollgate/contracts";
import type { Micros } from "@tollgate/kernel";
import { formatMicros, localDate, subtractMicros } from "@tollgate/kernel";

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
const SYMBOLS: Readonly<Record<string, string>> = { usd: "$", eur: "€", gbp: "£" };
const DAY_MS = 86_400_000;

export function describeInvoice(invoice: Invoice): InvoiceText {
  const symbol = SYMBOLS[invoice.currency] ?? `${invoice.currency.toUpperCase()} `;
  const money = (amount: Micros): string => formatMicros(amount, symbol);
  const day = (at: Date): string => formatDay(localDate(at.getTime(), invoice.timeZone));
  // A period ends at the midnight after its last day.
  const lastDay = new Date(Math.max(invoice.periodEnd.getTime() - DAY_MS / 2, invoice.periodStart.getTime()));
  return {
    title: TITLES[invoice.kind],
    number: invoice.number ?? "Without number",
    status: { draft: "Draft", final: "Open", paid: "Paid", void: "Void" }[invoice.status],
    facts: [
      ["Date", day(invoice.finalizedAt ?? invoice.createdAt)],
      ["Period", `${day(invoice.periodStart)} – ${day(lastDay)}`],
      ["Account", invoice.billingAccountId],
    ],
    from: party(invoice.seller),
    to: party(invoice.customer),
    lines: invoice.lines.map((line) => ({
      description: line.description,
      project: line.projectId ?? "",
      quantity: grouped(line.quantity),
      unitPrice: money(line.unitPriceMicros),
      amount: money(line.amountMicros),
    })),
    totals: totalsOf(invoice, money),
    note: invoice.reason,
  };
}

function totalsOf(invoice: Invoice, money: (amount: Micros) => string): [string, string][] {
  if (invoice.kind === "credit_note") return [["Total credited", money(invoice.totalMicros)]];
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
    of.taxId && `Tax id ${of.taxId}`,
  ].filter((line): line is string => typeof line === "string" && line !== "");
}

function addressLines(address: PostalAddress): string[] {
  const city = [address.postalCode, address.city].filter(Boolean).join(" ");
  const place = address.region === null ? city : `${city}, ${address.region}`;
  const country = new Intl.DisplayNames("en", { type: "region" }).of(address.country) ?? address.country;
  return [address.line1, address.line2 ?? "", place, country].filter((line) => line !== "");
}

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ",");

const MONTHS = "January February March April May June July August September October November December".split(" ");
/** `2026-11-24` as people write it: `24 November 2026`. */
function formatDay(date: string): string {
  const [year, month, day] = date.split("-");
  return `${Number(day)} ${MONTHS[Number(month) - 1]} ${year}`;
}
