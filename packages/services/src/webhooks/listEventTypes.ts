import type { WebhookEventType } from "@tollgate/contracts";
import { WEBHOOK_EVENTS } from "@tollgate/contracts";
import { z } from "zod";

/** The public catalogue: what endpoints may subscribe to, with the JSON Schema of each payload. */
export function listEventTypes(): { items: WebhookEventType[] } {
  return {
    items: WEBHOOK_EVENTS.map(({ type, version, description, data }) => ({
      type,
      version,
      description,
      dataSchema: z.toJSONSchema(data) as Record<string, unknown>,
    })),
  };
}
