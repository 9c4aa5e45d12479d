import { z } from "zod";
import { askSink, basicAuthorization } from "./askSink.ts";
import type { AnalyticsSink, DeliveryRow } from "./sink.ts";
import { SinkUnavailableError } from "./sink.ts";

export interface MixpanelOptions {
  /** The project's API secret, for the import of events. */
  readonly apiSecret: string;
  /** Where events are taken: `https://api.mixpanel.com`, or `https://api-eu.mixpanel.com`. */
  readonly apiBase: string;
  /** The project's token and a token for data deletions; without both, an erasure does not reach Mixpanel. */
  readonly projectToken?: string | undefined;
  readonly gdprToken?: string | undefined;
}

/** Mixpanel takes 2,000 events at once. */
const BATCH_MAX = 1_000;
const answerSchema = z.object({
  failed_records: z.array(z.object({ index: z.int(), message: z.string() })).optional(),
});

/**
 * Mixpanel hears of every event, by ids that say nothing outside of the product: no address, no name, no network address.
 * An event that comes twice is one there, by `$insert_id`.
 * @see https://developer.mixpanel.com/reference/import-events
 */
export const createMixpanel = (options: MixpanelOptions): AnalyticsSink => ({
  name: "mixpanel",
  batchMax: BATCH_MAX,
  describe: ({ eventId, subject, time, customerId, projectId, billingAccountId, actorKind, properties }) => ({
    event: subject,
    properties: {
      ...properties,
      time: time.getTime(),
      distinct_id: customerId ?? projectId ?? billingAccountId ?? "",
      // Letters, digits and dashes only.
      $insert_id: eventId.replaceAll("_", "-"),
      actor: actorKind,
    },
  }),
  send: async (ctx, batch) => {
    const { status, text } = await askSink(ctx, {
      url: `${options.apiBase}/import?strict=1`,
      method: "POST",
      headers: { authorization: basicAuthorization(options.apiSecret, "") },
      body: batch.map(({ payload }) => payload),
    });
    if (status === 200) return { refused: new Map() };
    return { refused: refusedIn(status, text, batch) };
  },
  forget: async (ctx, { customerId }) => {
    const { projectToken, gdprToken } = options;
    if (projectToken === undefined || gdprToken === undefined) return;
    const { status } = await askSink(ctx, {
      url: `${appBaseOf(options.apiBase)}/api/app/data-deletions/v3.0/?token=${encodeURIComponent(projectToken)}`,
      method: "POST",
      headers: { authorization: `Bearer ${gdprToken}` },
      body: { distinct_ids: [customerId], compliance_type: "GDPR" },
    });
    if (status >= 300) throw new SinkUnavailableError(`Answered ${status} to a deletion`);
  },
});

/** With `strict=1` an answer of 400 names the events that were not taken; all others were. */
function refusedIn(status: number, text: string, batch: readonly DeliveryRow[]): Map<string, string> {
  const parsed = status === 400 ? answerSchema.safeParse(parseJson(text)) : undefined;
  const failed = parsed?.data?.failed_records;
  if (failed === undefined) throw new SinkUnavailableError(`Answered ${status}`);
  return new Map(
    failed.flatMap(({ index, message }) => {
      const row = batch[index];
      return row === undefined ? [] : [[row.id, message] as const];
    }),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Deletions are asked for at the host of the application and not at that of the import. */
function appBaseOf(apiBase: string): string {
  const url = new URL(apiBase);
  if (url.hostname.endsWith(".mixpanel.com"))
    url.hostname = url.hostname.replace(/^api-([a-z]+)\./, "$1.").replace(/^api\./, "");
  return url.origin;
}
