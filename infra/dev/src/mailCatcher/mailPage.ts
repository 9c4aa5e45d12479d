import type { CaughtMail } from "./mailbox.ts";

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 15%, Canvas); --soft: color-mix(in srgb, CanvasText 6%, Canvas); }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; display: grid; grid-template-columns: minmax(16rem, 24rem) 1fr; height: 100vh; }
nav { border-right: 1px solid var(--line); overflow: auto; }
nav h1 { font-size: 1rem; margin: 0; padding: 1rem; border-bottom: 1px solid var(--line); }
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

/** The page: what was caught, newest first, and one message. */
export function renderMailPage(mails: readonly CaughtMail[], shown: CaughtMail | undefined): string {
  const items = [...mails].reverse().map((mail) => renderItem(mail, mail === shown));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Caught mail</title>
<style>${STYLE}</style>
</head>
<body>
<nav><h1>Caught mail</h1>${items.join("") || "<a>Nothing yet. Mail that the product sends appears here.</a>"}</nav>
<main>${shown ? renderMail(shown) : "<p>Choose a message.</p>"}</main>
</body>
</html>
`;
}

function renderItem(mail: CaughtMail, isShown: boolean): string {
  const current = isShown ? ' aria-current="true"' : "";
  return `<a href="/?id=${mail.id}"${current}><b>${escapeHtml(mail.subject)}</b><span>${escapeHtml(mail.to)}</span><span>${mail.at}</span></a>`;
}

function renderMail(mail: CaughtMail): string {
  // The empty sandbox runs no scripts and opens nothing; the message is as foreign as any mail.
  const frame = mail.html === "" ? "" : `<iframe sandbox title="Message" srcdoc="${escapeHtml(mail.html)}"></iframe>`;
  return `<h2>${escapeHtml(mail.subject)}</h2>
<dl><dt>From</dt><dd>${escapeHtml(mail.from)}</dd><dt>To</dt><dd>${escapeHtml(mail.to)}</dd><dt>At</dt><dd>${mail.at}</dd></dl>
${frame}
<pre>${escapeHtml(mail.text)}</pre>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
