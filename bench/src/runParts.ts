import type { RunningServers } from "@tollgate/dev/servers";
import { choosePort } from "@tollgate/dev/servers";
import { benchCatalog } from "./catalog/benchCatalog.ts";
import { benchControl } from "./control/benchControl.ts";
import { benchFold } from "./fold/benchFold.ts";
import { benchGateway, measurePeaks } from "./gateway/benchGateway.ts";
import { benchLatency } from "./gateway/benchLatency.ts";
import { benchMemory } from "./gateway/benchMemory.ts";
import { benchSockets } from "./gateway/benchSockets.ts";
import { benchStream } from "./gateway/benchStream.ts";
import type { Letter } from "./gateway/candidates.ts";
import { startField } from "./gateway/candidates.ts";
import { profileGateway } from "./gateway/profileGateway.ts";
import { benchIdentity } from "./identity/benchIdentity.ts";
import { benchKeys } from "./keys/benchKeys.ts";
import { benchClose } from "./money/benchClose.ts";
import { benchLedger } from "./money/benchLedger.ts";
import { benchSettle } from "./money/benchSettle.ts";
import type { Options, Part } from "./options.ts";
import type { BenchPlace } from "./place.ts";
import { median, medianOf } from "./report/numbers.ts";
import type { Section } from "./report/section.ts";
import { benchIngest } from "./usage/benchIngest.ts";
import { benchSeries } from "./usage/benchSeries.ts";

export interface Run {
  readonly place: BenchPlace;
  readonly servers: RunningServers;
  readonly options: Options;
  readonly show: (section: Section) => void;
}

/** Runs the parts that were asked for, one after the other, so that none disturbs another. */
export async function runParts(run: Run): Promise<void> {
  const { place, servers, show } = run;
  const { parts } = run.options;
  const callMicros = parts.some(needsGateway) ? await runGatewayParts(run) : undefined;
  if (parts.includes("fold")) show(await benchFold(place, servers));
  if (parts.includes("keys")) show(await benchKeys(place, callMicros));
  if (parts.includes("control")) show(await benchControl(place));
  if (parts.includes("identity")) await benchIdentity(place, servers, show);
  if (parts.includes("catalog")) show(await benchCatalog(place, servers));
  if (parts.includes("ledger")) show(await benchLedger(place, servers));
  if (parts.includes("settle")) show(await benchSettle(place, servers));
  if (parts.includes("close")) show(await benchClose(place, servers));
  if (parts.includes("ingest")) show(await benchIngest(place, servers));
  if (parts.includes("series")) show(await benchSeries(place, servers));
}

const needsGateway = (part: Part): boolean => ["gateway", "latency", "stream", "memory", "sockets"].includes(part);

/** Which floors stand beside the product: only those that somebody will look at. */
function floorsFor({ parts }: Options): Exclude<Letter, "d">[] {
  if (parts.includes("gateway")) return ["a", "b", "c"];
  return parts.includes("latency") || parts.includes("stream") ? ["b"] : [];
}

/** @returns processor time of a call in microseconds, if it can be known */
async function runGatewayParts(run: Run): Promise<number | undefined> {
  const { place, servers, options, show } = run;
  if (options.isProfiling) {
    await runProfile(run);
    return undefined;
  }
  const { parts } = options;
  const field = await startField({ place, servers, floors: floorsFor(options) });
  try {
    const peaks = await measurePeaks(field, place);
    const ofProduct = peaks.get("d") ?? [];
    const peakPerSecond = median(ofProduct.map((result) => result.perSecond));
    if (parts.includes("gateway")) show(await benchGateway(field, peaks));
    if (parts.includes("latency")) show(await benchLatency(field, place, peakPerSecond));
    if (parts.includes("stream")) show(await benchStream(field, place));
    if (parts.includes("memory")) show(await benchMemory(field, place, peakPerSecond));
    if (parts.includes("sockets")) show(await benchSockets(field));
    return medianOf(ofProduct, (result) => result.serverMicrosPerRequest);
  } finally {
    await field.stop();
  }
}

async function runProfile({ place, servers, show }: Run): Promise<void> {
  const inspectorPort = await choosePort();
  const gatewayNodeArgs = [`--inspect=127.0.0.1:${inspectorPort}`];
  const field = await startField({ place, servers, floors: [], gatewayNodeArgs });
  try {
    show(await profileGateway(field, place, inspectorPort));
  } finally {
    await field.stop();
  }
}
