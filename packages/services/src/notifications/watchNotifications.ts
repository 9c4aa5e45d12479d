import type { LiveNotifications } from "@tollgate/contracts";
import type { ServiceContext } from "../context.ts";
import type { LiveOpening } from "../live/index.ts";
import { requireCustomer } from "../permissions.ts";
import { listNotifications } from "./listNotifications.ts";

const EVERY_MS = 2_000;
const LATEST = 10;

/** The caller's unread count and latest notifications, as they change. @throws TollgateError UNAUTHORIZED */
export async function watchNotifications({
  ctx,
}: {
  readonly ctx: ServiceContext;
}): Promise<LiveOpening<LiveNotifications>> {
  const { customerId } = requireCustomer(ctx);
  return {
    permission: { key: `notifications.live ${customerId}`, require: async () => requireCustomer(ctx) },
    topic: {
      key: `notifications.live ${customerId}`,
      everyMs: EVERY_MS,
      isTouchedBy: () => false,
      read: async () => {
        const { items, unread } = await listNotifications({ ctx, input: { limit: LATEST, isUnreadOnly: false } });
        return { unread, latest: items };
      },
    },
  };
}
