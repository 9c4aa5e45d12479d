import type { CheckoutSession, PortalSession } from "../world/stored.ts";
import type { World } from "../world/world.ts";

const CARDS = [
  ["pm_card_visa", "4242 … 4242: succeeds"],
  ["pm_card_visa_chargeDeclined", "4000 … 0002: is declined"],
  ["pm_card_chargeDeclinedInsufficientFunds", "4000 … 9995: has insufficient funds"],
  ["pm_card_threeDSecure2Required", "4000 … 3220: asks the cardholder first"],
  ["pm_card_chargeCustomerFail", "4000 … 0341: is saved, then declined"],
  ["pm_card_createDispute", "4000 … 0259: succeeds, then is disputed"],
] as const;

export function renderCheckout(world: World, session: CheckoutSession, problem?: string): string {
  const { lines } = world.checkouts.get(session.id);
  const rows = lines
    .map(
      (line) =>
        `<li>${escapeHtml(line.description ?? "")} × ${line.quantity ?? 1}: ${money(line.amount_total, line.currency)}</li>`,
    )
    .join("");
  const total =
    session.amount_total === null ? "Save a card" : `Pay ${money(session.amount_total, session.currency ?? "usd")}`;
  const options = CARDS.map(([id, label]) => `<option value="${id}">${escapeHtml(label)}</option>`).join("");
  return page(
    total,
    `${problem === undefined ? "" : `<p class="problem" role="alert">${escapeHtml(problem)}</p>`}
<ul>${rows}</ul>
<form method="post" action="/c/pay/${session.id}">
${session.customer === null ? '<label>Address<br><input type="email" name="email" value="ada@example.com"></label>' : ""}
<label>Card<br><select name="card">${options}</select></label>
<div><button type="submit">${escapeHtml(total)}</button>${session.cancel_url === null ? "" : `<a href="${escapeHtml(session.cancel_url)}">Back</a>`}</div>
</form>`,
  );
}

/** The bank asks whether it is really the cardholder. */
export function renderQuestion(_returnUrl: string, action: string, carried: Readonly<Record<string, string>>): string {
  const fields = Object.entries(carried)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`)
    .join("");
  return page(
    "Is it you?",
    `<form method="post" action="${action}">${fields}
<p>Your bank asks whether you agree to this payment.</p>
<div><button type="submit" name="answer" value="succeed">Agree</button><button type="submit" name="answer" value="fail">Refuse</button></div>
</form>`,
  );
}

export function renderPortal(world: World, session: PortalSession): string {
  const action = `<form method="post" action="/p/session/${session.id}">`;
  const subscriptions = world.subscriptions
    .filter((row) => row.customer === session.customer && row.status !== "canceled")
    .map((row) => {
      const name = row.items.data
        .map((item) => world.products.find(item.price.product)?.name ?? item.price.id)
        .join(", ");
      const what = row.cancel_at_period_end ? ["resume", "Keep it"] : ["cancel", "Cancel at period end"];
      return `<li>${escapeHtml(name)}: ${escapeHtml(row.status)} ${action}<input type="hidden" name="subscription" value="${row.id}"><button name="do" value="${what[0]}">${what[1]}</button></form></li>`;
    });
  const methods = world.paymentMethods
    .filter((row) => row.customer === session.customer)
    .map(
      (row) =>
        `<li>${escapeHtml(row.card?.brand ?? row.type)} … ${escapeHtml(row.card?.last4 ?? "")} ${action}<input type="hidden" name="method" value="${row.id}"><button>Remove</button></form></li>`,
    );
  const invoices = world.invoices
    .filter((row) => row.customer === session.customer && row.status !== "draft")
    .map(
      (row) =>
        `<li>${escapeHtml(row.number ?? row.id)}: ${money(row.total, row.currency)}, ${escapeHtml(row.status ?? "")}</li>`,
    );
  return page(
    "Billing",
    `<h2>Subscriptions</h2><ul>${subscriptions.join("") || "<li>None</li>"}</ul>
<h2>Cards</h2><ul>${methods.join("") || "<li>None</li>"}</ul>
<h2>Invoices</h2><ul>${invoices.join("") || "<li>None</li>"}</ul>
${session.return_url === null ? "" : `<p><a href="${escapeHtml(session.return_url)}">Back</a></p>`}`,
  );
}

export const renderMessage = (message: string): string => page(message, "");

const money = (amount: number, currency: string): string => `${(amount / 100).toFixed(2)} ${currency.toUpperCase()}`;

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 ui-sans-serif, system-ui, sans-serif; }
main { width: min(26rem, 90vw); }
form { display: grid; gap: 1rem; }
li form { display: inline; }
h1 { font-size: 1.3rem; }
h2 { font-size: 1rem; }
small { opacity: 0.7; }
input, select, button { font: inherit; padding: 0.4rem; }
div { display: flex; gap: 0.75rem; align-items: center; }
.problem { color: #c0392b; }
</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
<small>A stand-in for development: no money moves.</small>
</main>
</body>
</html>
`;
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
