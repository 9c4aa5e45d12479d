import {
  alertDto,
  alertIdInput,
  alertPage,
  alertRuleDto,
  alertRuleIdInput,
  alertRulePage,
  createAlertRuleInput,
  doneDto,
  listAlertRulesInput,
  listAlertsInput,
  reportAlertInput,
  updateAlertRuleInput,
} from "@tollgate/contracts";
import {
  acknowledgeAlert,
  createRule,
  deleteRule,
  listAlerts,
  listRules,
  reportAlert,
  updateRule,
} from "@tollgate/services/alerts";
import { customerProcedure, router, serviceProcedure } from "./trpc.ts";

const EXAMPLE_PROJECT_ID = "prj_4fDq8ZkT2mXw9bNcR7LpVa";

/** Warnings: one firing a crossing, and a word when it is over. */
export const alertsRouter = router({
  report: serviceProcedure
    .meta({ description: "Something that operators should know of, from a service." })
    .input(reportAlertInput)
    .output(alertDto)
    .mutation(({ ctx, input }) => reportAlert({ ctx, input })),

  createRule: customerProcedure
    .meta({
      description: "Warns on its channels when a balance, spend, error rate or silence crosses a threshold.",
      example: {
        projectId: EXAMPLE_PROJECT_ID,
        kind: "noUsage",
        name: "Silence",
        channels: [{ kind: "webhook", url: "https://example.com/alerts" }],
      },
    })
    .input(createAlertRuleInput)
    .output(alertRuleDto)
    .mutation(({ ctx, input }) => createRule({ ctx, input })),

  listRules: customerProcedure
    .meta({
      description: "The rules of a project or a billing account, newest first.",
      example: { projectId: EXAMPLE_PROJECT_ID },
    })
    .input(listAlertRulesInput)
    .output(alertRulePage)
    .query(({ ctx, input }) => listRules({ ctx, input })),

  updateRule: customerProcedure
    .meta({ description: "Changes a rule. What is left out stays." })
    .input(updateAlertRuleInput)
    .output(alertRuleDto)
    .mutation(({ ctx, input }) => updateRule({ ctx, input })),

  deleteRule: customerProcedure
    .meta({ description: "Deletes a rule; what it has fired stays in the list." })
    .input(alertRuleIdInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => deleteRule({ ctx, input })),

  list: customerProcedure
    .meta({
      description:
        "What has fired in a project or a billing account, newest first; without either, what services have reported, for operators.",
      example: { projectId: EXAMPLE_PROJECT_ID },
    })
    .input(listAlertsInput)
    .output(alertPage)
    .query(({ ctx, input }) => listAlerts({ ctx, input })),

  acknowledge: customerProcedure
    .meta({ description: "Says that somebody is on it." })
    .input(alertIdInput)
    .output(alertDto)
    .mutation(({ ctx, input }) => acknowledgeAlert({ ctx, input })),
});
