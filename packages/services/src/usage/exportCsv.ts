import type { exportCsvInput } from "@tollgate/contracts";
import { retryRead, schema } from "@tollgate/db";
import { localHourStartMs } from "@tollgate/kernel";
import { and, asc, eq, gte, lt, sql } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireMember } from "../permissions.ts";
import { csvLine } from "./csv.ts";
import { readPayer } from "./internal.ts";

const { apis, endpoints, keys, usageHourly } = schema;

/** Lines that are read at a time: the next are read when these have been taken, however slowly that goes. */
const LINES = 1_000;
const HEAD = ["hour", "api", "endpoint", "key_id", "key", "mode", "status", "calls", "units", "charged_micros"];

/**
 * A project's hourly usage as CSV, in pieces of whole lines. Hours are those of its billing account's time zone, each
 * written as the instant of UTC at which it began; amounts are micros.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function* exportCsv({ ctx, input }: Verb<z.output<typeof exportCsvInput>>): AsyncGenerator<string, void> {
  const project = await requireMember(ctx, input.projectId, "usage.exportCsv", { orAdmin: true });
  const { timeZone } = await readPayer(ctx, project);
  yield csvLine(HEAD);
  const { hour, endpointId, keyId, status } = usageHourly;
  let after: { hour: Date; endpointId: string; keyId: string; status: number } | undefined;
  for (;;) {
    const from = after?.hour ?? new Date(localHourStartMs(input.from.getTime(), timeZone));
    const isAfter =
      after === undefined
        ? undefined
        : sql`(${hour}, ${endpointId}, ${keyId}, ${status}) > (${after.hour.toISOString()}::timestamptz, ${after.endpointId}, ${after.keyId}, ${after.status})`;
    const rows = await retryRead(() =>
      ctx.db
        .select({ usage: usageHourly, api: apis.name, endpoint: endpoints.name, key: keys.name })
        .from(usageHourly)
        .leftJoin(endpoints, eq(endpoints.id, endpointId))
        .leftJoin(apis, eq(apis.id, endpoints.apiId))
        .leftJoin(keys, eq(keys.id, keyId))
        .where(
          and(
            eq(usageHourly.projectId, input.projectId),
            eq(usageHourly.mode, input.mode),
            gte(hour, from),
            lt(hour, input.to),
            isAfter,
          ),
        )
        .orderBy(asc(hour), asc(endpointId), asc(keyId), asc(status))
        .limit(LINES),
    );
    if (rows.length > 0) yield rows.map(toLine).join("");
    after = rows.at(-1)?.usage;
    if (rows.length < LINES) return;
  }
}

interface Row {
  readonly usage: typeof usageHourly.$inferSelect;
  readonly api: string | null;
  readonly endpoint: string | null;
  readonly key: string | null;
}

function toLine({ usage, api, endpoint, key }: Row): string {
  const { hour, endpointId, keyId, mode, status, calls, units, chargedMicros } = usage;
  const named = [api ?? "", endpoint ?? endpointId, keyId, key ?? ""];
  return csvLine([hour.toISOString(), ...named, mode, status, calls, units, chargedMicros.toString()]);
}
