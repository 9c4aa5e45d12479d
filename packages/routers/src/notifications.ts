import {
  doneDto,
  listNotificationsInput,
  liveNotificationsDto,
  liveNotificationsInput,
  markNotificationsInput,
  notificationPage,
  subscriptionDto,
  subscriptionInput,
  subscriptionList,
  unreadDto,
} from "@tollgate/contracts";
import {
  listNotifications,
  listSubscriptions,
  markAsRead,
  subscribe,
  unsubscribe,
  watchNotifications,
} from "@tollgate/services/notifications";
import { streamStates } from "./live.ts";
import { customerProcedure, router } from "./trpc.ts";

const EXAMPLE = { resourceType: "project", resourceId: "prj_4fDq8ZkT2mXw9bNcR7LpVa" };

/** What people are told of inside the product. */
export const notificationsRouter = router({
  list: customerProcedure
    .meta({ description: "The caller's notifications, newest first, and how many are unread." })
    .input(listNotificationsInput)
    .output(notificationPage)
    .query(({ ctx, input }) => listNotifications({ ctx, input })),

  markAsRead: customerProcedure
    .meta({ description: "Marks notifications as read; without ids, all." })
    .input(markNotificationsInput)
    .output(unreadDto)
    .mutation(({ ctx, input }) => markAsRead({ ctx, input })),

  subscribe: customerProcedure
    .meta({ description: "Hear of a project, a billing account or a published API.", example: EXAMPLE })
    .input(subscriptionInput)
    .output(subscriptionDto)
    .mutation(({ ctx, input }) => subscribe({ ctx, input })),

  unsubscribe: customerProcedure
    .meta({
      description: "Ends a subscription of the caller; ending one that is not there changes nothing.",
      example: EXAMPLE,
    })
    .input(subscriptionInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => unsubscribe({ ctx, input })),

  listSubscriptions: customerProcedure
    .meta({ description: "What the caller has subscribed to." })
    .output(subscriptionList)
    .query(({ ctx }) => listSubscriptions({ ctx })),

  live: customerProcedure
    .meta({
      description: "The unread count and the latest notifications, as they change.",
      message: liveNotificationsDto,
    })
    .input(liveNotificationsInput)
    .subscription(async function* ({ ctx, input, signal }) {
      const opening = await watchNotifications({ ctx });
      yield* streamStates({ ctx, opening, message: liveNotificationsDto, signal, lastEventId: input.lastEventId });
    }),
});
