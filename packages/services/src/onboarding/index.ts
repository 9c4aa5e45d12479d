export * from "./completeSignup.ts";
export { sendVerificationEmail } from "./sendVerificationEmail.ts";
