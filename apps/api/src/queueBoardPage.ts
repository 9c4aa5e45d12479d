import { createHash } from "node:crypto";

/** The page on which operators sign in to the board. It signs in as any client does, and trades the token for the cookie. */
const STYLE = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif; }
form { width: 20rem; padding: 2rem; display: grid; gap: .9rem; }
h1 { font-size: 1.4rem; margin: 0; }
label { display: grid; gap: .25rem; font-size: .9rem; }
input { padding: .6rem .7rem; font: inherit; border: 1px solid #8a96a3; border-radius: 8px; }
button { padding: .7rem 1.2rem; font: inherit; font-weight: 600; color: #fff; background: #2f5fde; border: 0; border-radius: 8px; cursor: pointer; }
output { min-height: 1.5em; color: #c0392b; }
`;

const SCRIPT = `
const form = document.querySelector("form");
const post = (url, headers, body) => fetch(url, { method: "POST", headers, body });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = document.querySelector("output");
  said.textContent = "";
  try {
    const input = JSON.stringify(Object.fromEntries(new FormData(form)));
    let answer = await post("/rest/customers/login", { "content-type": "application/json" }, input);
    if (answer.ok) {
      const authorization = "Bearer " + (await answer.json()).accessToken;
      answer = await post("/admin/queues/session", { authorization });
      if (!answer.ok) await post("/rest/customers/logout", { authorization, "content-type": "application/json" }, "{}");
    }
    if (answer.ok) return location.reload();
    said.textContent = (await answer.json()).detail;
  } catch {
    said.textContent = "The control plane does not answer";
  }
});
`;

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Nothing but this style and this script, and no requests to anywhere else. */
export const SIGN_IN_POLICY = `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`;

export const renderSignIn = (): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Queues: sign in</title><style>${STYLE}</style></head>
<body><form><h1>Queues</h1>
<label>Email <input name="email" type="email" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button><output role="alert"></output>
<noscript>Signing in takes a script of this page.</noscript></form>
<script>${SCRIPT}</script></body>
</html>
`;
