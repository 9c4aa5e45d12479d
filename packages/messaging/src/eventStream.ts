import type { JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import { AckPolicy, DeliverPolicy, JetStreamApiError, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { EventEnvelope } from "@tollgate/contracts";
import { EVENT_SUBJECT_PREFIX, laneOf, partitionOf } from "@tollgate/contracts";

/**
 * The stream of domain events. It is a copy: JetStream acknowledges a message before it is safe on disk, so the outbox is
 * where an event lives, and whoever sends can tell from the stream's state that some of it was lost.
 * Only what NATS 2.9 has is used: one filter subject per consumer.
 */
export const EVENT_STREAM = "TOLLGATE_EVENTS";
export const EVENT_RETENTION_DAYS = 7;
/** For so long the stream drops a second copy of an event by its id. */
export const DUPLICATE_WINDOW_MS = 120_000;
/** A consumer that died is taken to have done so after this long. Whoever works longer says so in between. */
export const ACK_WAIT_MS = 8_000;
const REQUEST_TIMEOUT_MS = 3_000;
const NS_PER_MS = 1_000_000;

/** What the stream says of itself; a later one that is behind an earlier one has lost something. */
export interface StreamState {
  /** Another one for a stream that was made anew. */
  readonly created: string;
  readonly lastSequence: bigint;
  /** When its last message was stored; undefined if it has none. */
  readonly lastAt: Date | undefined;
}

/** What the stream says of itself; undefined if there is none. */
export async function readEventStream(connection: NatsConnection): Promise<StreamState | undefined> {
  const info = await unlessMissing((await managerOf(connection)).streams.info(EVENT_STREAM));
  return info === undefined ? undefined : stateOf(info);
}

/**
 * Makes the stream if it is not there, and its settings ours. Again changes nothing. Only whoever sends may make it: after a
 * loss it must be filled again from the outbox before anything new goes into it.
 */
export async function ensureEventStream(connection: NatsConnection): Promise<StreamState> {
  const manager = await managerOf(connection);
  const settings = {
    subjects: [`${EVENT_SUBJECT_PREFIX}>`],
    max_age: EVENT_RETENTION_DAYS * 86_400_000 * NS_PER_MS,
    duplicate_window: DUPLICATE_WINDOW_MS * NS_PER_MS,
  };
  const existing = await unlessMissing(manager.streams.info(EVENT_STREAM));
  if (existing === undefined) return stateOf(await manager.streams.add({ name: EVENT_STREAM, ...settings }));
  const { subjects, max_age, duplicate_window } = existing.config;
  const isOurs = JSON.stringify({ subjects, max_age, duplicate_window }) === JSON.stringify(settings);
  return stateOf(isOurs ? existing : await manager.streams.update(EVENT_STREAM, settings));
}

function stateOf({ created, state }: StreamInfo): StreamState {
  const lastAt = new Date(state.last_ts);
  return {
    created,
    lastSequence: BigInt(state.last_seq),
    lastAt: state.last_seq > 0 && lastAt.getUTCFullYear() > 1970 ? lastAt : undefined,
  };
}

export interface SentEvents {
  /** The ids that the stream has now, in order, up to the first that it could not take. */
  readonly ids: readonly string[];
  /** The stream's last sequence as far as it is known now. */
  readonly lastSequence: bigint;
  /** Why the next one was not taken. */
  readonly failure?: unknown;
  /** Whether that was because the stream did not end where the sender thought: another has sent, or it has lost something. */
  readonly isOutOfTurn: boolean;
}

/**
 * Publishes events in order behind the message of the sequence `after`. All are on the wire at once. The first is taken only
 * if the stream ends there, each other one only behind the one before it, so a failure in the middle lets nothing behind it
 * pass, and what somebody sends who does not know what has become of the stream is not taken at all.
 * (`Nats-Expected-Last-Sequence`, `Nats-Expected-Last-Msg-Id`: https://docs.nats.io/nats-concepts/jetstream/headers.)
 * An event that the stream has already is left out by its id.
 */
export async function publishEvents(
  connection: NatsConnection,
  after: bigint,
  events: readonly EventEnvelope[],
): Promise<SentEvents> {
  const stream = jetstream(connection);
  const outcomes = await Promise.allSettled(
    events.map((event, index) => {
      const before = events[index - 1];
      return stream.publish(subjectOf(event), JSON.stringify(event), {
        msgID: event.id,
        timeout: REQUEST_TIMEOUT_MS,
        expect: before === undefined ? { lastSequence: Number(after) } : { lastMsgID: before.id },
      });
    }),
  );
  const ids: string[] = [];
  let lastSequence = after;
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === "rejected") {
      const failure: unknown = outcome.reason;
      return { ids, lastSequence, failure, isOutOfTurn: isOutOfTurn(failure) };
    }
    ids.push(events[index]?.id ?? "");
    if (BigInt(outcome.value.seq) > lastSequence) lastSequence = BigInt(outcome.value.seq);
  }
  return { ids, lastSequence, isOutOfTurn: false };
}

/** "wrong last msg ID" and "wrong last sequence": https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const OUT_OF_TURN: readonly number[] = [10070, 10071];
const isOutOfTurn = (failure: unknown): boolean =>
  failure instanceof JetStreamApiError && OUT_OF_TURN.includes(failure.apiError().err_code);

const subjectOf = ({ subject, data }: EventEnvelope): string =>
  `${EVENT_SUBJECT_PREFIX}${subject}.${partitionOf(laneOf(subject, data))}`;

/** The durable consumer of one partition for one domain. */
export const durableName = (consumer: string, partition: number): string => `${consumer}-${partition}`;

/**
 * Makes the durable consumer of a stream that is there, if it is not there. It hands out one message at a time, to whichever process asks first, so
 * what is in one partition stays in order however many processes consume it.
 */
export async function ensureEventConsumer(
  connection: NatsConnection,
  consumer: string,
  partition: number,
): Promise<void> {
  const manager = await managerOf(connection);
  const name = durableName(consumer, partition);
  const settings = { ack_wait: ACK_WAIT_MS * NS_PER_MS, max_ack_pending: 1, max_deliver: -1 };
  const existing = await unlessMissing(manager.consumers.info(EVENT_STREAM, name));
  if (existing !== undefined) {
    await manager.consumers.update(EVENT_STREAM, name, settings);
    return;
  }
  await manager.consumers.add(EVENT_STREAM, {
    ...settings,
    durable_name: name,
    filter_subject: `${EVENT_SUBJECT_PREFIX}*.*.${partition}`,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
  });
}

const managerOf = (connection: NatsConnection): Promise<JetStreamManager> =>
  jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS });

async function unlessMissing<Answer>(asking: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.apiError().code === 404) return undefined;
    throw error;
  }
}

export { jetstreamManager };
