import {
  auditPage,
  configDto,
  configHistoryInput,
  dataDeletionList,
  dataDeletionPage,
  deadLetterPage,
  deleteSecretInput,
  deleteTenantDataInput,
  dismissedRunDto,
  dismissRunInput,
  doneDto,
  getConfigInput,
  impersonateInput,
  impersonationDto,
  invariantList,
  listAuditInput,
  listDataDeletionsInput,
  listDeadLettersInput,
  listSecretsInput,
  pickDeadLettersInput,
  pickedDeadLettersDto,
  rewrappedDto,
  rollbackConfigInput,
  secretDto,
  secretPage,
  setConfigInput,
  setSecretInput,
  settingChangeDto,
  settingChangePage,
} from "@tollgate/contracts";
import {
  deleteSecret,
  deleteTenantData,
  discardDeadLetters,
  dismissRun,
  getConfig,
  impersonate,
  listAudit,
  listConfigHistory,
  listDataDeletions,
  listDeadLetters,
  listSecrets,
  replayDeadLetters,
  rewrapSecrets,
  rollbackConfig,
  setConfig,
  setSecret,
} from "@tollgate/services/admin";
import { listInvariants } from "@tollgate/services/checks";
import { adminProcedure, router } from "./trpc.ts";

/** What operators do about the deployment itself. */
export const adminRouter = router({
  audit: adminProcedure
    .meta({
      description:
        "Who did what to which record, newest first: by actor, by the beginning of an action, by record, by time.",
      example: { action: "keys.", limit: 20 },
    })
    .input(listAuditInput)
    .output(auditPage)
    .query(({ ctx, input }) => listAudit({ ctx, input })),

  impersonate: adminProcedure
    .meta({
      description:
        "A token that sees what a customer sees for 15 minutes and changes nothing. It ends with your session.",
      example: { customerId: "cus_4fDq8ZkT2mXw9bNcR7LpVa", reason: "Ticket 4711" },
    })
    .input(impersonateInput)
    .output(impersonationDto)
    .mutation(({ ctx, input }) => impersonate({ ctx, input })),

  invariants: adminProcedure
    .meta({ description: "How each check of the ledger and of metering went when it last ran." })
    .output(invariantList)
    .query(({ ctx }) => listInvariants({ ctx })),

  dismissRun: adminProcedure
    .meta({
      description:
        "Ends the alarm about a run of a gateway that vanished and does not come back with the calls on its disk.",
      example: { runId: "gw_6hTq2MzX8cVb4nRkWpLs9D" },
    })
    .input(dismissRunInput)
    .output(dismissedRunDto)
    .mutation(({ ctx, input }) => dismissRun({ ctx, input })),

  deleteTenantData: adminProcedure
    .meta({
      description:
        "Has every published API asked to delete what it holds of a project, until it has said that it is gone. What was given up begins anew.",
      example: { projectId: "prj_2vKp7RtY5nWq3sXcB8dZfM" },
    })
    .input(deleteTenantDataInput)
    .output(dataDeletionList)
    .mutation(({ ctx, input }) => deleteTenantData({ ctx, input })),

  listDataDeletions: adminProcedure
    .meta({
      description: "What APIs were asked to delete of projects, with every attempt, newest first.",
      example: { status: "failed" },
    })
    .input(listDataDeletionsInput)
    .output(dataDeletionPage)
    .query(({ ctx, input }) => listDataDeletions({ ctx, input })),

  /** Events that consumers gave up. */
  deadLetters: router({
    list: adminProcedure
      .meta({ description: "Events that a consumer could not handle after all its attempts, the latest first." })
      .input(listDeadLettersInput)
      .output(deadLetterPage)
      .query(({ ctx, input }) => listDeadLetters({ ctx, input })),

    replay: adminProcedure
      .meta({
        description: "Has one dead letter, or those of a consumer, handled again by that consumer and no other.",
      })
      .input(pickDeadLettersInput)
      .output(pickedDeadLettersDto)
      .mutation(({ ctx, input }) => replayDeadLetters({ ctx, input })),

    discard: adminProcedure
      .meta({ description: "Gives up one dead letter, or those of a consumer, for good." })
      .input(pickDeadLettersInput)
      .output(pickedDeadLettersDto)
      .mutation(({ ctx, input }) => discardDeadLetters({ ctx, input })),
  }),

  /** Settings that change everywhere within a second. */
  config: router({
    get: adminProcedure
      .meta({ description: "Settings with the values in force, and whether etcd answers." })
      .input(getConfigInput)
      .output(configDto)
      .query(({ ctx, input }) => getConfig({ ctx, input })),

    set: adminProcedure
      .meta({
        description: "Puts a value in force in every process within a second.",
        example: { name: "freeCallOverCapPriceMicros", value: "25", expectedRevision: 0 },
      })
      .input(setConfigInput)
      .output(settingChangeDto)
      .mutation(({ ctx, input }) => setConfig({ ctx, input })),

    history: adminProcedure
      .meta({ description: "What a setting has been and who set it, newest first." })
      .input(configHistoryInput)
      .output(settingChangePage)
      .query(({ ctx, input }) => listConfigHistory({ ctx, input })),

    rollback: adminProcedure
      .meta({ description: "Puts the value of an earlier revision in force again; revision 0 is the default." })
      .input(rollbackConfigInput)
      .output(settingChangeDto)
      .mutation(({ ctx, input }) => rollbackConfig({ ctx, input })),
  }),

  /** Credentials of upstreams. */
  secrets: router({
    set: adminProcedure
      .meta({
        description: "Keeps a credential that gateways add to an API's requests. Its value is never shown again.",
        example: { api: "weather", name: "X-Api-Key", value: "from-the-provider" },
      })
      .input(setSecretInput)
      .output(secretDto)
      .mutation(({ ctx, input }) => setSecret({ ctx, input })),

    list: adminProcedure
      .meta({ description: "Which credentials are kept, newest first, without their values." })
      .input(listSecretsInput)
      .output(secretPage)
      .query(({ ctx, input }) => listSecrets({ ctx, input })),

    delete: adminProcedure
      .meta({
        description: "Forgets a credential; gateways add it no more.",
        example: { api: "weather", name: "X-Api-Key" },
      })
      .input(deleteSecretInput)
      .output(doneDto)
      .mutation(({ ctx, input }) => deleteSecret({ ctx, input })),

    rewrap: adminProcedure
      .meta({ description: "Puts every credential under the newest of MASTER_KEYS. Values are not touched." })
      .output(rewrappedDto)
      .mutation(({ ctx }) => rewrapSecrets({ ctx })),
  }),
});
