import type { ServiceSettings } from "@tollgate/services";

/** What someone sees who opens the API's address in a browser. */
export function renderLanding(settings: Pick<ServiceSettings, "publicApiUrl" | "publicGatewayUrl">): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tollgate</title>
<style>
:root { color-scheme: light dark; --ink: #16202a; --soft: #5b6875; --line: #dfe4e8; --paper: #fbfcfc; --accent: #0b6e5f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf0; --soft: #98a5b0; --line: #2a333b; --paper: #12171b; --accent: #52c7b0; } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink); font: 17px/1.55 ui-sans-serif, system-ui, sans-serif; }
main { max-width: 34rem; padding: 3rem 1.5rem; }
h1 { font-size: 2rem; letter-spacing: -0.02em; margin: 0 0 0.5rem; }
p { margin: 0 0 2rem; color: var(--soft); }
ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line); }
a { display: flex; align-items: baseline; justify-content: space-between; gap: 1rem; padding: 0.8rem 0; border-bottom: 1px solid var(--line); color: inherit; text-decoration: none; }
a:hover, a:focus-visible { color: var(--accent); }
code { color: var(--soft); font: 0.85em ui-monospace, monospace; }
</style>
</head>
<body>
<main>
<h1>Tollgate</h1>
<p>The control plane: customers, keys, prepaid credit, metering and billing. Paid calls go to the gateway at <code>${escapeHtml(settings.publicGatewayUrl)}</code>.</p>
<ul>
<li><a href="/reference">Reference of every procedure <code>/reference</code></a></li>
<li><a href="/openapi.json">OpenAPI 3.1 document <code>/openapi.json</code></a></li>
<li><a href="/.well-known/jwks.json">Public keys <code>/.well-known/jwks.json</code></a></li>
<li><a href="/status">How everything is <code>/status</code></a></li>
<li><a href="/readyz">Readiness <code>/readyz</code></a></li>
</ul>
</main>
</body>
</html>
`;
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
