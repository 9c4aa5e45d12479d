import type { Invoice } from "@tollgate/contracts";
import { describeInvoice } from "./invoiceText.ts";

/** The invoice as a page that stands alone: no scripts, nothing from elsewhere, and made for paper as well. */
export function renderInvoiceHtml(invoice: Invoice): string {
  const text = describeInvoice(invoice);
  const block = ([name = "", ...lines]: readonly string[]) =>
    [`<strong>${escapeHtml(name)}</strong>`, ...lines.map(escapeHtml)].join("<br>");
  const rows = text.lines.map(
    (line) => `<tr><td>${escapeHtml(line.description)}<small>${escapeHtml(line.project)}</small></td>
<td class="n">${escapeHtml(line.quantity)}</td><td class="n">${escapeHtml(line.unitPrice)}</td><td class="n">${escapeHtml(line.amount)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(`${text.title} ${text.number}`)}</title>
<style>
body{font:14px/1.5 system-ui,sans-serif;color:#16181d;max-width:800px;margin:48px auto;padding:0 24px}
header{display:flex;justify-content:space-between;align-items:flex-start;border-bottom:2px solid #16181d;padding-bottom:16px}
h1{font-size:28px;line-height:1.2;margin:0}h2{font-size:11px;letter-spacing:.06em;text-transform:uppercase;color:#667;margin:0 0 4px}
.status{border:1px solid #16181d;border-radius:4px;padding:2px 10px;font-weight:600}
.parties{display:grid;grid-template-columns:1fr 1fr;gap:24px;margin:24px 0}
dl{display:grid;grid-template-columns:auto 1fr;gap:2px 16px;margin:24px 0}dt{color:#667}dd{margin:0}
table{border-collapse:collapse;width:100%}th{font-size:11px;letter-spacing:.06em;text-transform:uppercase;color:#667;text-align:left}
th,td{padding:8px 0 8px 12px;border-bottom:1px solid #dde;vertical-align:top}th:first-child,td:first-child{padding-left:0}
small{display:block;color:#667}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;padding-left:24px}
.totals{margin-left:auto;width:50%;margin-top:16px}.totals td{border:0;padding:4px 0}.totals tr:last-child td{font-weight:700;border-top:2px solid #16181d;padding-top:8px}
@media print{body{margin:0}thead{display:table-header-group}tr{break-inside:avoid}}
</style></head><body>
<header><div><h1>${escapeHtml(text.title)}</h1>${escapeHtml(text.number)}</div><span class="status">${escapeHtml(text.status)}</span></header>
<section class="parties"><div><h2>From</h2>${block(text.from)}</div><div><h2>To</h2>${block(text.to)}</div></section>
<dl>${text.facts.map(([label, value]) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`).join("")}</dl>
<table><thead><tr><th>Description</th><th class="n">Quantity</th><th class="n">Unit price</th><th class="n">Amount</th></tr></thead>
<tbody>${rows.join("\n")}</tbody></table>
<table class="totals">${text.totals.map(([label, value]) => `<tr><td>${escapeHtml(label)}</td><td class="n">${escapeHtml(value)}</td></tr>`).join("")}</table>
${text.note === null ? "" : `<p>${escapeHtml(text.note)}</p>`}
</body></html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
