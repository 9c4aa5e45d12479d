import { z } from "zod";
import { customerDto, newPasswordInput, sessionTokensDto } from "./customers.ts";
import { emailInput, instantInput } from "./primitives.ts";

export const sendVerificationEmailInput = z.object({ email: emailInput });
/** The same for every address, known or not. */
export const verificationSentDto = z.object({
  /** How long the code will be accepted. */
  expiresInSeconds: z.int(),
  /** When another one may be asked for. */
  resendAfterSeconds: z.int(),
});
export type VerificationSent = z.infer<typeof verificationSentDto>;

/** A code as people type it: in any case, with spaces or dashes. */
export const codeInput = z
  .string()
  .max(32)
  .transform((code) => code.replaceAll(/[\s-]/g, "").toUpperCase());

export const completeSignupInput = z.object({ email: emailInput, code: codeInput, password: newPasswordInput });
export const signedInDto = sessionTokensDto.extend({ customer: customerDto });
export type SignedIn = z.infer<typeof signedInDto>;

export const recoverInput = z.object({ email: emailInput });
export const resetPasswordInput = z.object({ token: z.string().min(1).max(200), password: newPasswordInput });

export const requestEmailChangeInput = z.object({ email: emailInput });
export const confirmEmailChangeInput = z.object({ email: emailInput, code: codeInput });

/** How a visitor came. The id is made in their browser. What was told first stays. */
export const trackInput = z.object({
  id: z.string().regex(/^[\w-]{8,64}$/, { error: "Must be 8 to 64 letters, digits, - or _" }),
  firstVisit: instantInput.optional(),
  firstVerification: instantInput.optional(),
  registration: instantInput.optional(),
  referrer: z.string().trim().min(1).max(2_000).optional(),
  email: emailInput.optional(),
});
export const joinWaitlistInput = z.object({ email: emailInput });
