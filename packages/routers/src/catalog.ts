import {
  apiDto,
  apiPage,
  apiRefInput,
  catalogIndexInput,
  categoriesDto,
  deprecateApiInput,
  listApisInput,
  pricingDto,
  pricingInput,
  publicApiDto,
  publishApiInput,
  searchApisInput,
  searchResult,
  updateApiInput,
} from "@tollgate/contracts";
import {
  deprecateApi,
  getApi,
  indexApis,
  listApis,
  listCategories,
  listPricing,
  publishApi,
  readPublicApi,
  removeApi,
  searchApis,
  updateApi,
} from "@tollgate/services/catalog";
import { adminOrServiceProcedure, publicProcedure, router } from "./trpc.ts";

/** A document as it is written, with its white space, and the rest of an API. */
const DOCUMENT_BODY_BYTES_MAX = 24 * 1024 * 1024;

/** Published APIs, their endpoints and prices. */
export const catalogRouter = router({
  publish: adminOrServiceProcedure
    .meta({
      description: "Publishes an API, or brings a published one to what is given. The same again changes nothing.",
      bodyBytesMax: DOCUMENT_BODY_BYTES_MAX,
    })
    .input(publishApiInput)
    .output(apiDto)
    .mutation(({ ctx, input }) => publishApi({ ctx, input })),

  update: adminOrServiceProcedure
    .meta({
      description: "Changes some fields of an API or of its endpoints. A new price may begin later.",
      bodyBytesMax: DOCUMENT_BODY_BYTES_MAX,
    })
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

  get: adminOrServiceProcedure
    .meta({ description: "An API with everything about it, whatever state it is in." })
    .input(apiRefInput)
    .output(apiDto)
    .query(({ ctx, input }) => getApi({ ctx, input })),

  list: adminOrServiceProcedure
    .meta({ description: "All APIs, drafts and removed ones included, newest first." })
    .input(listApisInput)
    .output(apiPage)
    .query(({ ctx, input }) => listApis({ ctx, input })),

  index: publicProcedure
    .meta({ description: "The public catalogue, newest first." })
    .input(catalogIndexInput)
    .output(apiPage)
    .query(({ ctx, input }) => indexApis({ ctx, input })),

  search: publicProcedure
    .meta({ description: "Published APIs that fit a term, the best fit first. Words may be unfinished or mistyped." })
    .input(searchApisInput)
    .output(searchResult)
    .query(({ ctx, input }) => searchApis({ ctx, input })),

  api: publicProcedure
    .meta({ description: "A published API: its document, examples, endpoints with prices, and code to begin from." })
    .input(apiRefInput)
    .output(publicApiDto)
    .query(({ ctx, input }) => readPublicApi({ ctx, input })),

  listCategories: publicProcedure
    .meta({ description: "The categories of published APIs and how many are in each." })
    .output(categoriesDto)
    .query(({ ctx }) => listCategories({ ctx })),

  pricing: publicProcedure
    .meta({ description: "What published endpoints cost now, and from when that changes; the newest APIs first." })
    .input(pricingInput)
    .output(pricingDto)
    .query(({ ctx, input }) => listPricing({ ctx, input })),
});
