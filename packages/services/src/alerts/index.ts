export * from "./alerts.ts";
export { evaluateRules } from "./evaluateRules.ts";
export * from "./rules.ts";
export { sendAlertMessages } from "./sendMessages.ts";
