import {
  completeSignupInput,
  confirmEmailChangeInput,
  customerDto,
  doneDto,
  joinWaitlistInput,
  recoverInput,
  requestEmailChangeInput,
  resetPasswordInput,
  sendVerificationEmailInput,
  signedInDto,
  trackInput,
  verificationSentDto,
} from "@tollgate/contracts";
import {
  completeSignup,
  confirmEmailChange,
  joinWaitlist,
  recover,
  requestEmailChange,
  resetPassword,
  sendVerificationEmail,
  track,
} from "@tollgate/services/onboarding";
import { customerProcedure, publicProcedure, router } from "./trpc.ts";

/** Sign-up, recovery and changes of address. */
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

  recover: publicProcedure
    .meta({ description: "Mails a link to choose a new password. The answer is the same for every address." })
    .input(recoverInput)
    .output(verificationSentDto)
    .mutation(({ ctx, input }) => recover({ ctx, input })),

  resetPassword: publicProcedure
    .meta({ description: "Sets a new password with the token of the mailed link, and ends every session." })
    .input(resetPasswordInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => resetPassword({ ctx, input })),

  requestEmailChange: customerProcedure
    .meta({ description: "Mails a code to the address that the caller wants, and a notice to the one they have." })
    .input(requestEmailChangeInput)
    .output(verificationSentDto)
    .mutation(({ ctx, input }) => requestEmailChange({ ctx, input })),

  confirmEmailChange: customerProcedure
    .meta({ description: "Gives the caller's account the address that the code has proven." })
    .input(confirmEmailChangeInput)
    .output(customerDto)
    .mutation(({ ctx, input }) => confirmEmailChange({ ctx, input })),

  track: publicProcedure
    .meta({
      description: "Notes how a visitor came. What was told first stays; what comes later fills the gaps.",
      example: { id: "7c9e6679-7425-40de-944b-e07fc1f90ae7", referrer: "https://news.example.com/" },
    })
    .input(trackInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => track({ ctx, input })),

  joinWaitlist: publicProcedure
    .meta({ description: "Puts an address on the waiting list." })
    .input(joinWaitlistInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => joinWaitlist({ ctx, input })),
});
