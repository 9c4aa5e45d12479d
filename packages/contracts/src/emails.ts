import { z } from "zod";
import { defineJob } from "./definitions.ts";

export const emailStatus = z.enum(["queued", "sent", "failed", "cancelled"]);

/** Sends one mail whose row is due. The row says when to try again, so the job itself is only repeated after a crash. */
export const emailsSend = defineJob({
  name: "emails.send",
  queue: "email",
  schema: z.object({ emailId: z.string() }),
  attempts: 3,
  backoffMs: 1_000,
  id: ({ emailId }) => emailId,
});

/** Orders the mails that are due and whose job has gone. */
export const emailsSweep = defineJob({
  name: "emails.sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});
