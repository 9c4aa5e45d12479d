import { randomBase62 } from "@tollgate/kernel";
import type { SinkReply, SinkRequestSeen, SinkStandIn } from "./startSinkStandIn.ts";
import { basicOf, startSinkStandIn } from "./startSinkStandIn.ts";

export interface MixpanelEvent {
  readonly event: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Mixpanel on this machine: its import with `strict=1` and its deletions. */
export interface MixpanelStandIn extends SinkStandIn {
  readonly apiSecret: string;
  readonly projectToken: string;
  readonly gdprToken: string;
  /** What it holds; an event that came twice is there once. */
  readonly events: MixpanelEvent[];
  /** How often each `$insert_id` has come. */
  readonly arrivals: ReadonlyMap<string, number>;
  readonly deletions: string[];
  /** How many events each request brought. */
  readonly batches: number[];
}

const INSERT_ID = /^[A-Za-z0-9-]{1,36}$/;
const EVENTS_MAX = 2_000;

export async function startMixpanelStandIn(options: { readonly port?: number } = {}): Promise<MixpanelStandIn> {
  const apiSecret = randomBase62(32);
  const projectToken = randomBase62(32);
  const gdprToken = randomBase62(32);
  const events: MixpanelEvent[] = [];
  const arrivals = new Map<string, number>();
  const deletions: string[] = [];
  const batches: number[] = [];

  const take = (body: unknown): SinkReply => {
    if (!Array.isArray(body) || body.length === 0 || body.length > EVENTS_MAX) return [400, { error: "no batch" }];
    batches.push(body.length);
    const failed = body.flatMap((entry: MixpanelEvent, index) => {
      const message = whatIsWrong(entry);
      return message === undefined ? [] : [{ index, message }];
    });
    const bad = new Set(failed.map(({ index }) => index));
    for (const [index, entry] of (body as MixpanelEvent[]).entries()) {
      if (bad.has(index)) continue;
      const insertId = String(entry.properties["$insert_id"]);
      if (!arrivals.has(insertId)) events.push(entry);
      arrivals.set(insertId, (arrivals.get(insertId) ?? 0) + 1);
    }
    const counts = { num_records_imported: body.length - failed.length };
    return failed.length === 0
      ? [200, { code: 200, status: "OK", ...counts }]
      : [
          400,
          { code: 400, error: "some data points in the request failed validation", failed_records: failed, ...counts },
        ];
  };

  const erase = ({ url, body }: SinkRequestSeen): SinkReply => {
    if (url.searchParams.get("token") !== projectToken) return [400, { status: "error" }];
    const { distinct_ids: ids } = body as { distinct_ids: string[] };
    deletions.push(...ids);
    const kept = events.filter(({ properties }) => !ids.includes(String(properties["distinct_id"])));
    events.splice(0, events.length, ...kept);
    return [200, { status: "ok", results: { task_id: randomBase62(12) } }];
  };

  const standIn = await startSinkStandIn(options.port ?? 0, (request) => {
    const { method, url, authorization, body } = request;
    if (method === "GET") return [200, { events, deletions }];
    switch (url.pathname) {
      case "/import":
        return authorization === basicOf(apiSecret, "") ? take(body) : [401, { error: "Unauthorized" }];
      case "/api/app/data-deletions/v3.0/":
        return authorization === `Bearer ${gdprToken}` ? erase(request) : [401, { error: "Unauthorized" }];
      default:
        return [404, {}];
    }
  });
  return { ...standIn, apiSecret, projectToken, gdprToken, events, arrivals, deletions, batches };
}

function whatIsWrong({ event, properties }: MixpanelEvent): string | undefined {
  if (typeof event !== "string" || event === "") return "'event' must be a non-empty string";
  if (typeof properties["time"] !== "number")
    return "'properties.time' is invalid: must be specified as seconds since epoch";
  if (typeof properties["distinct_id"] !== "string") return "'properties.distinct_id' is invalid: must not be missing";
  if (!INSERT_ID.test(String(properties["$insert_id"]))) return "'properties.$insert_id' is invalid";
  return undefined;
}
