import { z } from "zod";
import { defineJob } from "./definitions.ts";

/** Hourly: clears away what was sent and handled long ago. */
export const messagesSweep = defineJob({
  name: "messages.sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});
