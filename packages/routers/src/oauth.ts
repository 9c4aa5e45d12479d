import {
  completeOauthInput,
  doneDto,
  oauthIdentityList,
  oauthSignedInDto,
  oauthStartedDto,
  startOauthInput,
  unlinkOauthInput,
} from "@tollgate/contracts";
import { completeOauth, linkOauth, listOauth, startOauth, unlinkOauth } from "@tollgate/services/oauth";
import { customerProcedure, publicProcedure, router } from "./trpc.ts";

/** Signing in with an account elsewhere. */
export const oauthRouter = router({
  start: publicProcedure
    .meta({
      description:
        "Where to send the browser to sign in. A page keeps `binding` and gives it back to `complete`, with the code and state that the provider sends.",
    })
    .input(startOauthInput)
    .output(oauthStartedDto)
    .mutation(({ ctx, input }) => startOauth({ ctx, input })),

  complete: publicProcedure
    .meta({
      description:
        "Finishes what `start` or `link` began, and signs in. The first time it makes a customer, or finds the one with the same verified address.",
    })
    .input(completeOauthInput)
    .output(oauthSignedInDto)
    .mutation(({ ctx, input }) => completeOauth({ ctx, input })),

  link: customerProcedure
    .meta({ description: "Where to send the browser to add a provider as a way to sign in; `complete` then adds it." })
    .input(startOauthInput)
    .output(oauthStartedDto)
    .mutation(({ ctx, input }) => linkOauth({ ctx, input })),

  unlink: customerProcedure
    .meta({ description: "Takes a provider away as a way to sign in. The last way stays." })
    .input(unlinkOauthInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => unlinkOauth({ ctx, input })),

  list: customerProcedure
    .meta({ description: "The providers that the caller signs in with." })
    .output(oauthIdentityList)
    .query(({ ctx }) => listOauth({ ctx })),
});
