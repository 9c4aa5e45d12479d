import { apiDto, apiRefInput, deprecateApiInput, publishApiInput, updateApiInput } from "@tollgate/contracts";
import { deprecateApi, publishApi, removeApi, updateApi } from "@tollgate/services/catalog";
import { adminOrServiceProcedure, router } from "./trpc.ts";

/** Published APIs, their endpoints and prices. */
export const catalogRouter = router({
  publish: adminOrServiceProcedure
    .meta({
      description: "Publishes an API, or brings a published one to what is given. The same again changes nothing.",
    })
    .input(publishApiInput)
    .output(apiDto)
    .mutation(({ ctx, input }) => publishApi({ ctx, input })),

  update: adminOrServiceProcedure
    .meta({ description: "Changes some fields of an API or of its endpoints. A new price may begin later." })
    .input(updateApiInput)
    .output(apiDto)
    .mutation(({ ctx, input }) => updateApi({ ctx, input })),

  deprecate: adminOrServiceProcedure
    .meta({ description: "Announces the end of an API: its answers carry the Deprecation and Sunset headers." })
    .input(deprecateApiInput)
    .output(apiDto)
    .mutation(({ ctx, input }) => deprecateApi({ ctx, input })),

  remove: adminOrServiceProcedure
    .meta({ description: "Takes an API out of service: calls are answered 410." })
    .input(apiRefInput)
    .output(apiDto)
    .mutation(({ ctx, input }) => removeApi({ ctx, input })),
});
