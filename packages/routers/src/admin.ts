import {
  deleteSecretInput,
  doneDto,
  listSecretsInput,
  rewrappedDto,
  secretDto,
  secretPage,
  setSecretInput,
} from "@tollgate/contracts";
import { deleteSecret, listSecrets, rewrapSecrets, setSecret } from "@tollgate/services/admin";
import { adminProcedure, router } from "./trpc.ts";

/** What operators do about the deployment itself. */
export const adminRouter = router({
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
