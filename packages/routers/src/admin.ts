import {
  configDto,
  configHistoryInput,
  deleteSecretInput,
  doneDto,
  getConfigInput,
  listSecretsInput,
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
  getConfig,
  listConfigHistory,
  listSecrets,
  rewrapSecrets,
  rollbackConfig,
  setConfig,
  setSecret,
} from "@tollgate/services/admin";
import { adminProcedure, router } from "./trpc.ts";

/** What operators do about the deployment itself. */
export const adminRouter = router({
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
