import path from "node:path";
import type { ReadyInfo } from "../system/index.ts";

/** What a person needs to begin: where everything is, who may sign in, and a paid call to copy. */
export function describeSystem(ready: ReadyInfo, dir: string, tookMs: number): string {
  const place = path.relative(process.cwd(), dir) || ".";
  const gateways = ready.gatewayUrls.join("  ");
  const examples = Object.entries(ready.exampleUrls).map(([name, url]) => `${name} ${url}`);
  const standIns = Object.entries(ready.oauthUrls).map(([name, url]) => `${name} ${url}`);
  return `
Tollgate is ready after ${(tookMs / 1000).toFixed(1)} s.

  API       ${ready.apiUrl}
  Gateway   ${gateways}
  Mail      ${ready.mailUrl}   every mail that is sent lands here
  Channels  ${Object.values(ready.channelUrls).join("  ")}   so does what is sent to these
${standIns.length === 0 ? "" : `  Sign-in   ${standIns.join("  ")}   stand-ins\n`}${ready.stripeUrl === undefined ? "" : `  Stripe    ${ready.stripeUrl}   a stand-in: no money moves\n`}  Upstreams ${examples.join("  ")}

  Admin     ${ready.admin.email}  ${ready.admin.password}
  Demo      ${ready.demo.email}  ${ready.demo.password}
  Project   ${ready.demo.projectId}
  Key       ${ready.demo.key}

A paid call through the gateway, charged to the demo wallet:

  curl -o qr.png -H 'Authorization: Bearer ${ready.demo.key}' '${ready.gatewayUrl}/v1/qr/generate?text=hello'

Logs are in ${path.join(place, "logs")}, and all of the above is in ${path.join(place, "ready.json")}. Ctrl-C stops everything.

`;
}
