import type { Actor } from "@tollgate/kernel";
import type { LiveOpening, LiveStreams } from "@tollgate/services/live";
import type { TrackedEnvelope } from "@trpc/server";
import { tracked } from "@trpc/server";
import type { z } from "zod";

/** What subscriptions are made with: one per process. */
export interface LiveContext {
  readonly live: LiveStreams;
}

/** A subscription's messages, each held to the contract as every other output is. */
export async function* streamStates<Schema extends z.ZodType>(options: {
  readonly ctx: LiveContext & { readonly actor: Actor };
  readonly opening: LiveOpening<z.input<Schema>>;
  readonly message: Schema;
  readonly signal: AbortSignal | undefined;
  readonly lastEventId: string | undefined;
}): AsyncGenerator<TrackedEnvelope<z.output<Schema>>, void> {
  const { ctx, opening, message, lastEventId } = options;
  const signal = options.signal ?? new AbortController().signal;
  for await (const { id, state } of ctx.live.open({ actor: ctx.actor, opening, signal, lastEventId })) {
    yield tracked(id, message.parse(state));
  }
}
