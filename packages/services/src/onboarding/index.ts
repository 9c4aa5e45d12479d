export * from "./completeSignup.ts";
export * from "./confirmEmailChange.ts";
export * from "./joinWaitlist.ts";
export { recover } from "./recover.ts";
export * from "./requestEmailChange.ts";
export * from "./resetPassword.ts";
export { sendVerificationEmail } from "./sendVerificationEmail.ts";
export * from "./track.ts";
