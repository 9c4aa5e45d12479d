import type { CaughtMail } from "./mailbox.ts";

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 15%, Canvas); --soft: color-mix(in srgb, CanvasText 6%, Canvas); }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; display: grid; grid-template-columns: minmax(16rem, 24rem) 1fr; height: 100vh; }
nav { border-right: 1px solid var(--line); overflow: auto; }
nav h1 { font-size: 1rem; margin: 0; }
nav header { position: sticky; top: 0; background: Canvas; padding: 1rem; border-bottom: 1px solid var(--line); }
nav h1 small { font-weight: 400; opacity: .6; }
nav p { padding: 0 1rem; opacity: .75; }
input { width: 100%; margin-top: .7rem; padding: .45rem .6rem; font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line); border-radius: 8px; }
.tabs { display: flex; gap: .3rem; }
.tabs a { padding: .25rem .8rem; border: 1px solid var(--line); border-radius: 99px; color: inherit; text-decoration: none; font-size: .85rem; }
.tabs a[aria-current] { background: CanvasText; color: Canvas; }
nav a { display: block; padding: .7rem 1rem; border-bottom: 1px solid var(--line); color: inherit; text-decoration: none; }
nav a:hover, nav a[aria-current] { background: var(--soft); }
nav b, nav span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
nav span, dl { opacity: .75; font-size: .85rem; }
main { padding: 1.5rem; overflow: auto; display: flex; flex-direction: column; gap: 1rem; }
h2 { margin: 0; font-size: 1.25rem; }
dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; }
dd { margin: 0; }
iframe { flex: 1; min-height: 24rem; border: 1px solid var(--line); border-radius: 8px; background: white; }
pre { margin: 0; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); border-radius: 8px; }
@media (max-width: 45rem) { body { grid-template-columns: 1fr; height: auto; } nav { border: 0; max-height: 40vh; } }
`;

/** What somebody looks at: one message, as HTML or as text, among those that a search finds. */
export interface MailView {
  readonly shown: CaughtMail | undefined;
  readonly isText: boolean;
  readonly search: string;
}

/** The page: what was caught, newest first, and one message. Without scripts: everything is a link or a form. */
export function renderMailPage(mails: readonly CaughtMail[], view: MailView): string {
  const found = [...mails].reverse().filter((mail) => matches(mail, view.search));
  const shown = view.shown ?? found[0];
  const items = found.map((mail) => renderItem(mail, mail === shown, view));
  const none =
    view.search === ""
      ? "Nothing yet. Mails, alerts and webhooks that the product sends here appear."
      : "Nothing like that.";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Caught messages</title>
<style>${STYLE}</style>
</head>
<body>
<nav><header><h1>Caught messages <small>${found.length}</small></h1>
<form><input type="search" name="q" value="${escapeHtml(view.search)}" placeholder="Address, subject or text" aria-label="Search"></form></header>
${items.join("") || `<p>${none}</p>`}</nav>
<main>${shown ? renderMail(shown, view) : "<p>Choose a message.</p>"}</main>
</body>
</html>
`;
}

function matches(mail: CaughtMail, search: string): boolean {
  const wanted = search.toLowerCase();
  return [mail.to, mail.subject, mail.text].some((text) => text.toLowerCase().includes(wanted));
}

function linkTo(mail: CaughtMail, view: Pick<MailView, "isText" | "search">): string {
  const query = new URLSearchParams({ id: String(mail.id) });
  if (view.isText) query.set("view", "text");
  if (view.search !== "") query.set("q", view.search);
  return escapeHtml(`/?${query}`);
}

function renderItem(mail: CaughtMail, isShown: boolean, view: MailView): string {
  const current = isShown ? ' aria-current="true"' : "";
  return `<a href="${linkTo(mail, view)}"${current}><b>${escapeHtml(mail.subject)}</b><span>${escapeHtml(mail.to)}</span><span>${timeOf(mail)}</span></a>`;
}

const timeOf = ({ at }: CaughtMail): string => at.replace("T", " ").slice(0, 19);

function renderMail(mail: CaughtMail, view: MailView): string {
  const isText = view.isText || mail.html === "";
  const tab = (label: string, toText: boolean): string =>
    `<a href="${linkTo(mail, { ...view, isText: toText })}"${toText === isText ? ' aria-current="true"' : ""}>${label}</a>`;
  const tabs = mail.html === "" ? "" : `<div class="tabs">${tab("HTML", false)}${tab("Text", true)}</div>`;
  // The sandbox runs no scripts, for the message is as foreign as any mail; its links open beside this page.
  const framed = `<base target="_blank">${mail.html}`;
  const body = isText
    ? `<pre>${escapeHtml(mail.text)}</pre>`
    : `<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" title="Message" srcdoc="${escapeHtml(framed)}"></iframe>`;
  return `<h2>${escapeHtml(mail.subject)}</h2>
<dl><dt>From</dt><dd>${escapeHtml(mail.from)}</dd><dt>To</dt><dd>${escapeHtml(mail.to)}</dd><dt>At</dt><dd>${timeOf(mail)} UTC</dd></dl>
${tabs}
${body}`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
