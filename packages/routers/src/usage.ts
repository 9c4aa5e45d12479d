import {
  callPage,
  csvPiece,
  exportCsvInput,
  ingestDto,
  ingestInput,
  listCallsInput,
  listEventsInput,
  liveUsageDto,
  liveUsageInput,
  monthlyDto,
  monthlyInput,
  monthlyTotalDto,
  monthlyTotalInput,
  rankingNameDto,
  ranksDto,
  readUsageInput,
  savedEventDto,
  saveEventInput,
  setRankingNameInput,
  traceDto,
  traceInput,
  usageDto,
  usageEventPage,
} from "@tollgate/contracts";
import {
  exportCsv,
  ingestEvents,
  listCalls,
  listEvents,
  readMonthly,
  readMonthlyTotal,
  readRanks,
  readUsage,
  saveEvent,
  setRankingName,
  traceCall,
  watchUsage,
} from "@tollgate/services/usage";
import { streamStates } from "./live.ts";
import { authenticatedProcedure, customerProcedure, publicProcedure, router, serviceProcedure } from "./trpc.ts";

/** What was called and what it cost. */
export const usageRouter = router({
  read: authenticatedProcedure
    .meta({ description: "A project's calls by the hour, day or month, with what is left of its quotas." })
    .input(readUsageInput)
    .output(usageDto)
    .query(({ ctx, input }) => readUsage({ ctx, input })),

  monthlyTotal: authenticatedProcedure
    .meta({ description: "What a project called and was charged in a month, and at which endpoints." })
    .input(monthlyTotalInput)
    .output(monthlyTotalDto)
    .query(({ ctx, input }) => readMonthlyTotal({ ctx, input })),

  monthly: serviceProcedure
    .meta({
      description: "How often a project called some endpoints this month, and what is left of their free calls.",
    })
    .input(monthlyInput)
    .output(monthlyDto)
    .query(({ ctx, input }) => readMonthly({ ctx, input })),

  calls: authenticatedProcedure
    .meta({ description: "A project's calls of the last 30 days, newest first." })
    .input(listCallsInput)
    .output(callPage)
    .query(({ ctx, input }) => listCalls({ ctx, input })),

  trace: authenticatedProcedure
    .meta({ description: "Follows a call to the line of the statement that it is part of and the grants that paid." })
    .input(traceInput)
    .output(traceDto)
    .query(({ ctx, input }) => traceCall({ ctx, input })),

  ingest: serviceProcedure
    .meta({
      description:
        "Takes up to 1,000 CloudEvents 1.0 of a project, each once by its source and id; each has a result of its own.",
      example: {
        events: [{ specversion: "1.0", source: "/billing", id: "1042", type: "pages", data: { count: 3 } }],
      },
    })
    .input(ingestInput)
    .output(ingestDto)
    .mutation(({ ctx, input }) => ingestEvents({ ctx, input })),

  saveEvent: serviceProcedure
    .meta({ description: "Keeps a record of a project for 35 days under the name of a table; with an id, once." })
    .input(saveEventInput)
    .output(savedEventDto)
    .mutation(({ ctx, input }) => saveEvent({ ctx, input })),

  listEvents: authenticatedProcedure
    .meta({ description: "A project's events of one table, the last received first." })
    .input(listEventsInput)
    .output(usageEventPage)
    .query(({ ctx, input }) => listEvents({ ctx, input })),

  ranks: publicProcedure
    .meta({ description: "How popular each API is, and the users who want to be named." })
    .output(ranksDto)
    .query(({ ctx }) => readRanks({ ctx })),

  setRankingName: customerProcedure
    .meta({ description: "Shows a project among the top users under a name, or no longer." })
    .input(setRankingNameInput)
    .output(rankingNameDto)
    .mutation(({ ctx, input }) => setRankingName({ ctx, input })),

  exportCsv: authenticatedProcedure
    .meta({
      description: "A project's hourly usage as CSV, streamed in pieces of whole lines.",
      message: csvPiece,
      streamsAs: "text/csv",
    })
    .input(exportCsvInput)
    .subscription(({ ctx, input }) => exportCsv({ ctx, input })),

  live: authenticatedProcedure
    .meta({
      description: "What a project does at the moment: calls and failures a second and what they cost.",
      message: liveUsageDto,
    })
    .input(liveUsageInput)
    .subscription(async function* ({ ctx, input, signal }) {
      const opening = await watchUsage({ ctx, input });
      yield* streamStates({ ctx, opening, message: liveUsageDto, signal, lastEventId: input.lastEventId });
    }),
});
