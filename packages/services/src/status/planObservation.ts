import type { StatusComponent } from "@tollgate/contracts";
import type { schema } from "@tollgate/db";

export type ComponentRow = typeof schema.statusComponents.$inferSelect;
export type MeasuredState = ComponentRow["state"];

/** One look at a component. */
export interface Observation {
  readonly component: StatusComponent;
  readonly hasAnswered: boolean;
  /** Null where there was no answer to wait for. */
  readonly latencyMs: number | null;
}

/** What a look changes: the component's row, and for how long it was what on which day. */
export interface ObservationPlan {
  readonly row: ComponentRow;
  readonly spans: readonly { readonly day: string; readonly state: MeasuredState; readonly ms: number }[];
}

/** One answer that does not come may have been lost on the way; a component that is silent for so long is down. */
export const DOWN_AFTER_MS = 20_000;
/** Slower than this, people notice. */
export const SLOW_MS = 2_000;
/** The self-test signs up, calls and waits for its usage. */
const SLOW_SELF_TEST_MS = 30_000;
/** Between two looks that are further apart nobody looked. */
export const BLIND_AFTER_MS = 3 * 60_000;
/** The self-test is every five minutes. */
const BLIND_SELF_TEST_MS = 7 * 60_000;
const DAY_MS = 86_400_000;

/**
 * What one look says. The time since the look before is of the state that is found now. If nobody looked for long, that
 * time is of no state, except for the workers: it is they who look, so they were away. Undefined for a look that is not
 * later than the one before: another process has looked.
 */
export function planObservation(
  previous: ComponentRow | undefined,
  observation: Observation,
  now: Date,
): ObservationPlan | undefined {
  const elapsedMs = previous === undefined ? 0 : now.getTime() - previous.checkedAt.getTime();
  if (previous !== undefined && elapsedMs <= 0) return undefined;
  const failingSince = observation.hasAnswered ? null : (previous?.failingSince ?? now);
  const state = stateOf(observation, failingSince, now);
  const row: ComponentRow = {
    name: observation.component,
    state,
    since: previous?.state === state ? previous.since : now,
    failingSince,
    latencyMs: observation.latencyMs,
    checkedAt: now,
  };
  if (previous === undefined) return { row, spans: [] };
  if (elapsedMs <= blindAfterMs(observation.component)) return { row, spans: spansOf(state, previous.checkedAt, now) };
  return { row, spans: observation.component === "workers" ? spansOf("down", previous.checkedAt, now) : [] };
}

/** How long a look at a component says how it is. */
export const blindAfterMs = (component: StatusComponent): number =>
  component === "selfTest" ? BLIND_SELF_TEST_MS : BLIND_AFTER_MS;

function stateOf(observation: Observation, failingSince: Date | null, now: Date): MeasuredState {
  if (failingSince !== null) return now.getTime() - failingSince.getTime() >= DOWN_AFTER_MS ? "down" : "degraded";
  const slowMs = observation.component === "selfTest" ? SLOW_SELF_TEST_MS : SLOW_MS;
  return (observation.latencyMs ?? 0) > slowMs ? "degraded" : "up";
}

/** The time between two instants, cut where a day of UTC ends. */
function spansOf(state: MeasuredState, from: Date, to: Date): ObservationPlan["spans"] {
  const spans: { day: string; state: MeasuredState; ms: number }[] = [];
  let at = from.getTime();
  while (at < to.getTime()) {
    const until = Math.min(to.getTime(), (Math.floor(at / DAY_MS) + 1) * DAY_MS);
    spans.push({ day: dayOf(at), state, ms: until - at });
    at = until;
  }
  return spans;
}

/** The day in UTC of an instant in milliseconds. */
export const dayOf = (instantMs: number): string => new Date(instantMs).toISOString().slice(0, 10);
