export * from "./listSentEmails.ts";
export * from "./mailTransport.ts";
export * from "./orderEmail.ts";
export * from "./sendEmail.ts";
export * from "./smtpTransport.ts";
export { suppressEmail } from "./suppressEmail.ts";
export * from "./sweepDueEmails.ts";
export * from "./templates/index.ts";
export * from "./unsuppressEmail.ts";
