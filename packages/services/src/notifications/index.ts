export * from "./audience.ts";
export * from "./listNotifications.ts";
export * from "./markAsRead.ts";
export { notifyPeople } from "./notifyPeople.ts";
export * from "./subscriptions.ts";
export * from "./watchNotifications.ts";
