import {
  blockKeysInput,
  changedKeysDto,
  generatedKeyDto,
  generateKeyInput,
  keyDto,
  keyIdInput,
  keyPage,
  keyVerdictDto,
  leakReportedDto,
  listKeysInput,
  reportLeakedInput,
  rotateKeyInput,
  unblockKeysInput,
  updateKeyInput,
  verifyKeyInput,
} from "@tollgate/contracts";
import {
  blockKeys,
  generateKey,
  listKeys,
  readKey,
  reportLeakedKey,
  revokeKey,
  rotateKey,
  unblockKeys,
  updateKey,
  verifyKey,
} from "@tollgate/services/keys";
import { adminProcedure, customerProcedure, publicProcedure, router, serviceProcedure } from "./trpc.ts";

const EXAMPLE_KEY_ID = "key_4fDq8ZkT2mXw9bNcR7LpVa";

/** API keys: the secrets that programs call paid endpoints with. */
export const keysRouter = router({
  generate: customerProcedure
    .meta({ description: "Makes a key for a project. The answer is the only place where the key is ever shown." })
    .input(generateKeyInput)
    .output(generatedKeyDto)
    .mutation(({ ctx, input }) => generateKey({ ctx, input })),

  list: customerProcedure
    .meta({ description: "The keys of a project with this month's calls and spend, newest first." })
    .input(listKeysInput)
    .output(keyPage)
    .query(({ ctx, input }) => listKeys({ ctx, input })),

  read: customerProcedure
    .meta({ description: "One key with this month's calls and spend." })
    .input(keyIdInput)
    .output(keyDto)
    .query(({ ctx, input }) => readKey({ ctx, input })),

  update: customerProcedure
    .meta({ description: "Changes a key. What is left out stays; null lifts a limit." })
    .input(updateKeyInput)
    .output(keyDto)
    .mutation(({ ctx, input }) => updateKey({ ctx, input })),

  rotate: customerProcedure
    .meta({
      description: "A new key with the settings of an old one, which works on for a grace. Both share its limits.",
    })
    .input(rotateKeyInput)
    .output(generatedKeyDto)
    .mutation(({ ctx, input }) => rotateKey({ ctx, input })),

  revoke: customerProcedure
    .meta({ description: "Ends a key for good. Every gateway refuses it within a second." })
    .input(keyIdInput)
    .output(keyDto)
    .mutation(({ ctx, input }) => revokeKey({ ctx, input })),

  block: adminProcedure
    .meta({
      description: "Stops a key, a project's keys or a customer's keys, with a message for their callers.",
      example: { keyId: EXAMPLE_KEY_ID },
    })
    .input(blockKeysInput)
    .output(changedKeysDto)
    .mutation(({ ctx, input }) => blockKeys({ ctx, input })),

  unblock: adminProcedure
    .meta({ description: "Lets blocked keys work again.", example: { keyId: EXAMPLE_KEY_ID } })
    .input(unblockKeysInput)
    .output(changedKeysDto)
    .mutation(({ ctx, input }) => unblockKeys({ ctx, input })),

  // A query would put the key into a URL.
  verify: serviceProcedure
    .meta({
      description:
        "The gateway's decision about a call, for services that embed instead of proxying. It counts under the rate limits; no money is set aside.",
    })
    .input(verifyKeyInput)
    .output(keyVerdictDto)
    .mutation(({ ctx, input }) => verifyKey({ ctx, input })),

  reportLeaked: publicProcedure
    .meta({
      description:
        "A secret scanner's report: a valid live key is revoked and its owners told. Says nothing of the key.",
    })
    .input(reportLeakedInput)
    .output(leakReportedDto)
    .mutation(({ ctx, input }) => reportLeakedKey({ ctx, input })),
});
