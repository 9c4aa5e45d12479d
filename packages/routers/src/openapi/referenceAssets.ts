/** The reference page's style and script: small enough to travel in the page, so it loads nothing from elsewhere. */
export const REFERENCE_STYLE = `
:root { color-scheme: light dark; --ink: #17212b; --soft: #596672; --faint: #8a96a1; --line: #e1e6ea; --paper: #fbfcfc; --raised: #f2f5f6; --accent: #0b6e5f; --code: #17212b; --code-ink: #dfe8ee; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ecf0; --soft: #9aa7b2; --faint: #6d7a85; --line: #28313a; --paper: #11161a; --raised: #191f25; --accent: #56cdb6; --code: #0b0f12; --code-ink: #d3dee6; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1.5rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif; }
code, pre, .name, .type, input { font-family: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, monospace; }
.page { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 90rem; margin: 0 auto; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.75rem 1.25rem; border-right: 1px solid var(--line); font-size: 0.875rem; }
nav strong { font-size: 1.05rem; letter-spacing: -0.01em; }
nav input { width: 100%; margin: 1rem 0 0.5rem; padding: 0.5rem 0.65rem; border: 1px solid var(--line); border-radius: 0.4rem; background: var(--raised); color: inherit; font-size: 0.8125rem; }
nav input:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
nav h2 { margin: 1.25rem 0 0.25rem; font-size: 0.8125rem; color: var(--soft); font-weight: 600; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: 0.13rem 0; color: inherit; text-decoration: none; }
nav a:hover, nav a:focus-visible { color: var(--accent); }
main { padding: 2.5rem clamp(1.25rem, 4vw, 4rem) 6rem; min-width: 0; }
h1 { margin: 0; font-size: 2.1rem; line-height: 1.15; letter-spacing: -0.025em; }
.lead { max-width: 44rem; margin: 0.75rem 0 0; color: var(--soft); text-wrap: pretty; }
main a { color: var(--accent); text-underline-offset: 0.15em; }
p code { font-size: 0.88em; }
main > h2 { margin: 4rem 0 0; padding-bottom: 0.5rem; border-bottom: 2px solid var(--ink); font-size: 1.35rem; letter-spacing: -0.015em; }
article { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 28rem); gap: 0 2.5rem; padding: 2rem 0; border-bottom: 1px solid var(--line); }
article h3 { margin: 0; font: 600 1.05rem ui-monospace, Menlo, Consolas, monospace; letter-spacing: -0.01em; }
article h3 a { color: inherit; text-decoration: none; }
article p { margin: 0.4rem 0 0; max-width: 40rem; text-wrap: pretty; }
.caller { color: var(--soft); font-size: 0.875rem; }
h4 { margin: 1.4rem 0 0.2rem; font-size: 0.8125rem; color: var(--soft); font-weight: 600; }
table { width: 100%; border-collapse: collapse; font-size: 0.8438rem; }
td { padding: 0.35rem 0.9rem 0.35rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child { width: 38%; }
.type { color: var(--accent); font-size: 0.78rem; }
.notes { color: var(--soft); }
.optional { color: var(--faint); font-family: ui-sans-serif, system-ui, sans-serif; font-size: 0.75rem; }
pre { margin: 0; padding: 1rem 1.1rem; border-radius: 0.5rem; background: var(--code); color: var(--code-ink); font-size: 0.78rem; line-height: 1.55; white-space: pre-wrap; overflow-wrap: anywhere; align-self: start; position: sticky; top: 1.5rem; }
[hidden] { display: none !important; }
.none { margin-top: 3rem; color: var(--soft); }
@media (max-width: 70rem) { article { grid-template-columns: minmax(0, 1fr); } pre { position: static; margin-top: 1.25rem; } }
@media (max-width: 48rem) { .page { display: block; } nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); } nav section { display: none; } td { display: block; width: auto; padding: 0 0 0.35rem; } td:first-child { width: auto; padding: 0.45rem 0 0; } td + td { border-top: 0; } }
`;

/** Filters procedures by every word typed; "/" goes to the box. */
export const REFERENCE_SCRIPT = `
const box = document.querySelector("#search");
const entries = [...document.querySelectorAll("[data-text]")];
const groups = [...document.querySelectorAll("[data-group]")];
const none = document.querySelector(".none");
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const shown = new Set();
  for (const entry of entries) {
    entry.hidden = !words.every((word) => entry.dataset.text.includes(word));
    if (!entry.hidden) shown.add(entry.dataset.domain);
  }
  for (const group of groups) group.hidden = !shown.has(group.dataset.group);
  none.hidden = shown.size > 0;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || document.activeElement === box) return;
  event.preventDefault();
  box.focus();
});
`;
