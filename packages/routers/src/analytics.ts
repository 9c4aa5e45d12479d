import {
  analyticsEventPage,
  analyticsSummaryDto,
  analyticsSummaryInput,
  listAnalyticsEventsInput,
} from "@tollgate/contracts";
import { listAnalyticsEvents, readSummary } from "@tollgate/services/analytics";
import { adminProcedure, router } from "./trpc.ts";

/** How the business goes, and what other systems are told of it. */
export const analyticsRouter = router({
  summary: adminProcedure
    .meta({
      description: "Sign-ups, active projects, calls, revenue, recurring revenue and outstanding credit.",
      example: { from: "2026-11-01T00:00:00Z", to: "2026-12-01T00:00:00Z" },
    })
    .input(analyticsSummaryInput)
    .output(analyticsSummaryDto)
    .query(({ ctx, input }) => readSummary({ ctx, input })),

  events: adminProcedure
    .meta({
      description: "Which event went to which sink of analytics, or why not yet, newest first.",
      example: { sink: "mixpanel", status: "pending" },
    })
    .input(listAnalyticsEventsInput)
    .output(analyticsEventPage)
    .query(({ ctx, input }) => listAnalyticsEvents({ ctx, input })),
});
