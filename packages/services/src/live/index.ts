export * from "./liveStreams.ts";
export * from "./liveTopics.ts";
