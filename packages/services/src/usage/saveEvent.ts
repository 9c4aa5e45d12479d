import type { SavedEvent, saveEventInput } from "@tollgate/contracts";
import { badRequest, newId } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireService } from "../permissions.ts";
import { ingestEvents } from "./ingestEvents.ts";

/** The source of events that are saved by name and not as CloudEvents. */
const SOURCE = "tollgate:saved";

/**
 * Keeps a record of a project under the name of a table; with an id of the caller's, once.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND; BAD_REQUEST for a record of more than 64 KiB
 */
export async function saveEvent({ ctx, input }: Verb<z.output<typeof saveEventInput>>): Promise<SavedEvent> {
  requireService(ctx);
  const { projectId, table, record } = input;
  // Without an id of the caller's, every call is an event of its own.
  const id = input.id ?? newId("event");
  const event = { specversion: "1.0", source: `${SOURCE}/${encodeURIComponent(table)}`, id, type: table, data: record };
  const { results } = await ingestEvents({ ctx, input: { projectId, events: [event] } });
  const [issue] = results[0]?.issues ?? [];
  if (issue === undefined) return { id };
  const field = issue.path === "source" || issue.path === "type" ? "table" : issue.path === "id" ? "id" : "record";
  throw badRequest(`The input is not valid: ${field}: ${issue.message}`, {
    reason: "invalid_input",
    issues: [{ path: field, message: issue.message }],
  });
}
