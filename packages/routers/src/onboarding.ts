import { completeSignupInput, sendVerificationEmailInput, signedInDto, verificationSentDto } from "@tollgate/contracts";
import { completeSignup, sendVerificationEmail } from "@tollgate/services/onboarding";
import { publicProcedure, router } from "./trpc.ts";

/** Sign-up. */
export const onboardingRouter = router({
  sendVerificationEmail: publicProcedure
    .meta({ description: "Mails a code that proves an address. The answer is the same for every address." })
    .input(sendVerificationEmailInput)
    .output(verificationSentDto)
    .mutation(({ ctx, input }) => sendVerificationEmail({ ctx, input })),

  completeSignup: publicProcedure
    .meta({
      description: "Proves an address with its code, sets a password, makes the first project and signs in.",
    })
    .input(completeSignupInput)
    .output(signedInDto)
    .mutation(({ ctx, input }) => completeSignup({ ctx, input })),
});
