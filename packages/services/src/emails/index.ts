export * from "./mailTransport.ts";
export * from "./sendEmail.ts";
export * from "./smtpTransport.ts";
export * from "./sweepDueEmails.ts";
export * from "./templates/index.ts";
