export { type MailCatcher, startMailCatcher } from "./startMailCatcher.ts";
