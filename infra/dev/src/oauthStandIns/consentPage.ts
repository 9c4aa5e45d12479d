/** The page at which one signs in to a stand-in: as anybody, with a proven address or not, or not at all. */
export function renderConsentPage(providerName: string, parameters: URLSearchParams): string {
  const fields = [...parameters]
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`)
    .join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in with ${providerName}</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 ui-sans-serif, system-ui, sans-serif; }
form { width: min(22rem, 90vw); display: grid; gap: 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
p { margin: 0; opacity: 0.7; }
input[type=email] { font: inherit; padding: 0.5rem; width: 100%; box-sizing: border-box; }
div { display: flex; gap: 0.75rem; }
button { font: inherit; padding: 0.5rem 1rem; }
</style>
</head>
<body>
<form method="get" action="">
<h1>Sign in with ${providerName}</h1>
<p>A stand-in for development: be whoever you like.</p>
${fields}
<label>Address<br><input type="email" name="as" value="ada@example.com" required></label>
<label><input type="checkbox" name="unverified" value="1"> ${providerName} has no proof of the address</label>
<div><button type="submit">Continue</button><button type="submit" name="deny" value="1">Cancel</button></div>
</form>
</body>
</html>
`;
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
