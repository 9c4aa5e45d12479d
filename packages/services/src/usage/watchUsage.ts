import type { LiveUsage, liveUsageInput, UsageSums } from "@tollgate/contracts";
import { actorName, dayPeriod, toMicros } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import type { LiveOpening } from "../live/index.ts";
import { requireMember } from "../permissions.ts";
import type { SumRow } from "./internal.ts";
import { isServed, readPayer, toSums } from "./internal.ts";

type Input = z.output<typeof liveUsageInput>;

/** Rates are over this long, or over as much of it as was watched. */
const WINDOW_MS = 5_000;
/** Rates fall by the passing of time alone. */
const EVERY_MS = 1_000;

/**
 * What a project does at the moment: calls and failures a second, and what they cost. The rates are differences between
 * readings of the hourly usage, which is what is charged; so they cost the same however busy the project is.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function watchUsage({ ctx, input }: Verb<Input>): Promise<LiveOpening<LiveUsage>> {
  const { projectId, mode } = input;
  const require = () => requireMember(ctx, projectId, "usage.live", { orAdmin: true });
  const { timeZone } = await readPayer(ctx, await require());
  const samples: Sample[] = [];
  return {
    permission: { key: `usage.live ${projectId} ${actorName(ctx.actor)}`, require },
    topic: {
      key: `usage.live ${projectId} ${mode} ${timeZone}`,
      everyMs: EVERY_MS,
      isTouchedBy: ({ subject, data }) => subject === "usage" && includes(data["projectIds"], projectId),
      read: async () => {
        const sample = await readSample(ctx, input, timeZone);
        // Sums of another day start again at zero and cannot be compared.
        if (samples[0]?.dayStartMs !== sample.dayStartMs) samples.length = 0;
        samples.push(sample);
        while (sample.atMs - (samples[1]?.atMs ?? sample.atMs) >= WINDOW_MS) samples.shift();
        return { perSecond: ratesBetween(samples[0] ?? sample, sample), today: sample.today };
      },
    },
  };
}

interface Sample {
  readonly atMs: number;
  readonly dayStartMs: number;
  readonly today: UsageSums;
}

async function readSample(ctx: ServiceContext, { projectId, mode }: Input, timeZone: string): Promise<Sample> {
  const atMs = ctx.clock.nowMs();
  const dayStartMs = dayPeriod(atMs, timeZone).startMs;
  const [row] = await ctx.db.execute<SumRow>(sql`
    select coalesce(sum(case when ${isServed} then calls else 0 end), 0) as calls,
      coalesce(sum(case when ${isServed} then 0 else calls end), 0) as failures,
      coalesce(sum(units), 0) as units, coalesce(sum(charged_micros), 0) as charged
    from usage_hourly
    where project_id = ${projectId} and mode = ${mode} and hour >= ${new Date(dayStartMs).toISOString()}::timestamptz`);
  if (row === undefined) throw new Error("A sum has a row");
  return { atMs, dayStartMs, today: toSums(row) };
}

function ratesBetween(before: Sample, now: Sample): LiveUsage["perSecond"] {
  const seconds = (now.atMs - before.atMs) / 1_000;
  if (seconds <= 0) return null;
  const rate = (of: (sums: UsageSums) => number): number =>
    Math.round(((of(now.today) - of(before.today)) / seconds) * 10) / 10;
  return {
    calls: rate((sums) => sums.calls),
    failures: rate((sums) => sums.failures),
    chargedMicros: toMicros(BigInt(Math.round(rate((sums) => Number(sums.chargedMicros))))),
  };
}

const includes = (list: unknown, wanted: string): boolean => Array.isArray(list) && list.includes(wanted);
