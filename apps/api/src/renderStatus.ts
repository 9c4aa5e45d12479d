import type { ComponentState, CurrentStatus, Incident, StatusComponent, StatusHistory } from "@tollgate/contracts";

/** The names that people know the parts by, and what each is for. */
const PARTS: Readonly<Record<StatusComponent, readonly [name: string, purpose: string]>> = {
  gateway: ["Gateway", "takes paid calls"],
  api: ["Control plane", "accounts, keys, billing"],
  workers: ["Workers", "count calls, send mails and webhooks"],
  database: ["Database", "keeps everything"],
  redis: ["Redis", "queues of work"],
  nats: ["NATS", "tells processes what has changed"],
  etcd: ["etcd", "settings, and where APIs run"],
  selfTest: ["A stranger's walk", "every five minutes: sign up, call, see the usage, leave"],
};

const HEADLINES: Readonly<Record<ComponentState, readonly [title: string, text: string]>> = {
  up: ["All systems go", "Everything answers as it should."],
  degraded: ["Not everything is well", "A part of the system is slow or fails at times. The rest goes on."],
  down: ["There is an outage", "A part of the system does not answer. We are on it."],
  unknown: ["Not known yet", "A part of the system has not been looked at lately."],
};

const WORDS: Readonly<Record<ComponentState, string>> = {
  up: "Up",
  degraded: "Degraded",
  down: "Down",
  unknown: "Not known",
};

const INCIDENT_WORDS: Readonly<Record<Incident["status"], string>> = {
  investigating: "Investigating",
  identified: "Identified",
  monitoring: "Monitoring",
  resolved: "Resolved",
};

const RESOLVED_SHOWN_MAX = 10;

/** The status as a page of its own: no script, nothing from elsewhere, looks again by itself. */
export function renderStatus(current: CurrentStatus, history: StatusHistory | undefined): string {
  const [title, text] = HEADLINES[current.state];
  const past = history?.incidents.filter(({ resolvedAt }) => resolvedAt !== null).slice(0, RESOLVED_SHOWN_MAX) ?? [];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60">
<title>${title} · Status</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<header class="${current.state}">
<span class="lamp" aria-hidden="true"></span>
<div><h1>${title}</h1><p>${text}</p></div>
</header>
${current.incidents.map((incident) => renderIncident(incident)).join("\n")}
<section aria-labelledby="parts">
<h2 id="parts">Parts <small>the last 90 days</small></h2>
${current.components.map((component) => renderPart(component, history)).join("\n")}
<p class="legend"><span class="up">up</span><span class="degraded">degraded</span><span class="down">down</span><span class="unknown">not looked at</span></p>
</section>
<section aria-labelledby="past">
<h2 id="past">Past incidents</h2>
${past.length === 0 ? '<p class="quiet">None in the last 90 days.</p>' : past.map((incident) => renderIncident(incident)).join("\n")}
</section>
<footer>As of <time datetime="${current.at.toISOString()}">${timeOf(current.at)}</time>. Parts are looked at twice a minute; this page looks again every minute. Programs ask <code>/rest/status/current</code>.</footer>
</main>
</body>
</html>
`;
}

function renderPart(component: CurrentStatus["components"][number], history: StatusHistory | undefined): string {
  const { name, state, latencyMs } = component;
  const [label, purpose] = PARTS[name];
  const past = history?.components.find((one) => one.name === name);
  const uptime = past?.uptimeBasisPoints;
  const bars = past?.days.map(renderDay).join("") ?? "";
  const share = uptime === null || uptime === undefined ? "" : `${(uptime / 100).toFixed(2)} % up`;
  const answered = latencyMs === null || state !== "up" ? "" : ` · ${latencyMs} ms`;
  return `<article>
<div class="row"><h3>${label} <small>${purpose}</small></h3><strong class="${state}">${WORDS[state]}<span>${answered}</span></strong></div>
<div class="days" role="img" aria-label="${label}: ${share === "" ? "no history" : share}">${bars}</div>
<div class="row scale"><span>90 days ago</span><span>${share}</span><span>today</span></div>
</article>`;
}

function renderDay({ day, upMs, degradedMs, downMs }: StatusHistory["components"][number]["days"][number]): string {
  const total = upMs + degradedMs + downMs;
  // A minute of trouble is worth a colour: it is what people look for.
  const state: ComponentState =
    total === 0 ? "unknown" : downMs > 60_000 ? "down" : degradedMs + downMs > 60_000 ? "degraded" : "up";
  const trouble = [
    downMs > 0 ? `down ${durationOf(downMs)}` : "",
    degradedMs > 0 ? `degraded ${durationOf(degradedMs)}` : "",
  ].filter((part) => part !== "");
  const tip = total === 0 ? "not looked at" : trouble.length === 0 ? "up" : trouble.join(", ");
  return `<i class="${state}" title="${day}: ${tip}"></i>`;
}

function renderIncident({ title, impact, components, updates, resolvedAt, createdAt }: Incident): string {
  const touched = components.map((name) => PARTS[name][0]).join(", ");
  const said = updates.map(
    ({ status, message, createdAt }) =>
      `<li><p><b>${INCIDENT_WORDS[status]}</b> ${escapeHtml(message)}</p><time datetime="${createdAt.toISOString()}">${timeOf(createdAt)}</time></li>`,
  );
  const lasted = resolvedAt === null ? "" : ` · lasted ${durationOf(resolvedAt.getTime() - createdAt.getTime())}`;
  return `<article class="incident ${resolvedAt === null ? "open" : "over"}">
<h3>${escapeHtml(title)}</h3>
<p class="quiet">${impact} impact${touched === "" ? "" : ` · ${touched}`}${lasted}</p>
<ol>${said.join("")}</ol>
</article>`;
}

/** `3 h 20 min`; under a minute in seconds. */
export function durationOf(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes === 0) return `${Math.ceil(ms / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${minutes} min`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

const timeOf = (instant: Date): string => `${instant.toISOString().slice(0, 16).replace("T", " ")} UTC`;

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const STYLE = `
:root { color-scheme: light dark; --ink: #16202a; --soft: #5b6875; --line: #dfe4e8; --paper: #f5f7f7; --card: #fff; --good: #12805c; --warn: #b26a00; --bad: #c4302b; --none: #cdd5da; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf0; --soft: #98a5b0; --line: #2a333b; --paper: #12171b; --card: #181f25; --good: #3fbf92; --warn: #e0a03a; --bad: #f0655f; --none: #36424b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 ui-sans-serif, system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: clamp(1.5rem, 5vw, 4rem) 1.25rem; }
header { display: flex; gap: 1.1rem; align-items: center; padding: 1.5rem; border-radius: 14px; background: var(--card); border: 1px solid color-mix(in srgb, var(--tone) 55%, var(--line)); }
.up { --tone: var(--good); } .degraded { --tone: var(--warn); } .down { --tone: var(--bad); } .unknown { --tone: var(--none); }
.lamp { flex: none; width: 1.1rem; height: 1.1rem; border-radius: 50%; background: var(--tone); box-shadow: 0 0 0 6px color-mix(in srgb, var(--tone) 20%, transparent); }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.2; letter-spacing: -0.02em; }
header p { margin: 0.2rem 0 0; color: var(--soft); }
h2 { margin: 2.5rem 0 0.75rem; font-size: 1.05rem; }
h3 { margin: 0; font-size: 1rem; }
small { margin-left: 0.4rem; font-size: 0.85rem; font-weight: 400; color: var(--soft); }
article { padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line); }
article + article { border-top: 0; }
section > article:first-of-type { border-radius: 12px 12px 0 0; } section > article:last-of-type { border-radius: 0 0 12px 12px; } section > article:only-of-type { border-radius: 12px; }
.row { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
strong { flex: none; color: var(--tone); font-size: 0.95rem; } strong.unknown { color: var(--soft); }
strong span { color: var(--soft); font-weight: 400; font-variant-numeric: tabular-nums; }
.days { display: flex; gap: 2px; height: 30px; margin: 0.6rem 0 0.3rem; }
.days i { flex: 1; min-width: 1px; border-radius: 2px; background: var(--tone); } .days i:hover { opacity: 0.65; }
.scale { color: var(--soft); font-size: 0.8rem; font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: 1.1rem; margin: 0.75rem 0 0; color: var(--soft); font-size: 0.8rem; }
.legend span::before { content: ""; display: inline-block; width: 0.65rem; height: 0.65rem; margin-right: 0.4rem; border-radius: 2px; background: var(--tone); }
.incident.open { margin-top: 1rem; border-radius: 12px; border: 1px solid var(--warn); }
.incident.open + .incident.open { border-top: 1px solid var(--warn); }
.incident ol { list-style: none; margin: 0.75rem 0 0; padding: 0 0 0 1rem; border-left: 2px solid var(--line); }
.incident li + li { margin-top: 0.75rem; } .incident li p { margin: 0; white-space: pre-line; overflow-wrap: anywhere; }
.incident h3 { overflow-wrap: anywhere; }
time, .quiet { color: var(--soft); font-size: 0.85rem; } .quiet { margin: 0.15rem 0 0; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: 0.85rem; } footer time { font-size: inherit; }
code { font: 0.9em ui-monospace, monospace; }
@media (max-width: 32rem) { .days { gap: 1px; } .row small { display: block; margin: 0; } }
`;
