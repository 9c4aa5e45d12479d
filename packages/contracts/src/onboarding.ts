import { z } from "zod";
import { customerDto, newPasswordInput, sessionTokensDto } from "./customers.ts";
import { emailInput } from "./primitives.ts";

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
