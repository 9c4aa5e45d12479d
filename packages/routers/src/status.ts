import {
  currentStatusDto,
  incidentDto,
  openIncidentInput,
  resolveIncidentInput,
  statusHistoryDto,
  statusHistoryInput,
  updateIncidentInput,
} from "@tollgate/contracts";
import { openIncident, readCurrent, readHistory, resolveIncident, updateIncident } from "@tollgate/services/status";
import { adminProcedure, publicProcedure, router } from "./trpc.ts";

/** How the deployment is, for everybody. */
export const statusRouter = router({
  current: publicProcedure
    .meta({ description: "How each part of the system is right now, and which incidents are open." })
    .output(currentStatusDto)
    .query(({ ctx }) => readCurrent({ ctx })),

  history: publicProcedure
    .meta({ description: "How each part has been, day by day, for up to 90 days, with the incidents of that time." })
    .input(statusHistoryInput)
    .output(statusHistoryDto)
    .query(({ ctx, input }) => readHistory({ ctx, input })),

  openIncident: adminProcedure
    .meta({
      description: "Tells everybody that something is wrong.",
      example: {
        title: "Calls are slow",
        impact: "major",
        components: ["gateway"],
        message: "We see slow answers and are looking for the cause.",
      },
    })
    .input(openIncidentInput)
    .output(incidentDto)
    .mutation(({ ctx, input }) => openIncident({ ctx, input })),

  updateIncident: adminProcedure
    .meta({
      description: "Says how an incident goes on. What is left out stays.",
      example: {
        id: "inc_4fDq8ZkT2mXw9bNcR7LpVa",
        status: "identified",
        message: "A network of the provider is overloaded.",
      },
    })
    .input(updateIncidentInput)
    .output(incidentDto)
    .mutation(({ ctx, input }) => updateIncident({ ctx, input })),

  resolveIncident: adminProcedure
    .meta({
      description: "Says that an incident is over.",
      example: { id: "inc_4fDq8ZkT2mXw9bNcR7LpVa", message: "Answers are fast again." },
    })
    .input(resolveIncidentInput)
    .output(incidentDto)
    .mutation(({ ctx, input }) => resolveIncident({ ctx, input })),
});
