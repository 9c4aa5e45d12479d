import path from "node:path";
import type { SystemInfo } from "../system/index.ts";

/** What a person needs to begin: where everything is, who may sign in, and a paid call to copy. */
export function describeSystem(info: SystemInfo, dir: string, tookMs: number, isServersOnly: boolean): string {
  const place = path.relative(process.cwd(), dir) || ".";
  const gateways = info.gatewayUrls.join("  ");
  const examples = Object.entries(info.exampleUrls).map(([name, url]) => `${name} ${url}`);
  const standIns = Object.entries(info.oauthUrls).map(([name, url]) => `${name} ${url}`);
  const took = `${(tookMs / 1000).toFixed(1)} s`;
  const logs = path.join(place, "logs");
  const head = isServersOnly
    ? `The servers are up after ${took}. Run the programs in another terminal:\n\n  npx turbo dev`
    : `Tollgate is ready after ${took}.`;
  const tail = isServersOnly
    ? `The servers' logs are in ${logs}.`
    : `Logs are in ${logs}, and all of the above is in ${path.join(place, "ready.json")}.`;
  return `
${head}

  API       ${info.apiUrl}
  Gateway   ${gateways}
  Mail      ${info.mailUrl}   every mail that is sent lands here
  Channels  ${Object.values(info.channelUrls).join("  ")}   so does what is sent to these
${standIns.length === 0 ? "" : `  Sign-in   ${standIns.join("  ")}   stand-ins\n`}${info.stripeUrl === undefined ? "" : `  Stripe    ${info.stripeUrl}   a stand-in: no money moves\n`}  Upstreams ${examples.join("  ")}

  Admin     ${info.admin.email}  ${info.admin.password}
  Demo      ${info.demo.email}  ${info.demo.password}
  Project   ${info.demo.projectId}
  Key       ${info.demo.key}

A paid call through the gateway, charged to the demo wallet:

  curl -o qr.png -H 'Authorization: Bearer ${info.demo.key}' '${info.gatewayUrl}/v1/qr/generate?text=hello'

${tail} Ctrl-C stops everything.

`;
}
