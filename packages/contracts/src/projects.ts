import { z } from "zod";
import { defineEvent } from "./definitions.ts";
import { idSchema, microsOutput, nameInput, pageInput, pageOf } from "./primitives.ts";

export const projectRole = z.enum(["owner", "admin", "developer", "billing", "viewer"]);

/** A project as the caller sees it. */
export const projectDto = z.object({
  id: z.string(),
  name: z.string(),
  billingAccountId: z.string(),
  /** The caller's role. */
  role: projectRole,
  monthlySpendCapMicros: microsOutput.nullable(),
  createdAt: z.date(),
});
export type Project = z.infer<typeof projectDto>;

export const createProjectInput = z.object({
  name: nameInput,
  /** Who pays; one that the caller administers. Without it, their own. */
  billingAccountId: idSchema("billingAccount").optional(),
});
export const listProjectsInput = pageInput;
export const projectPage = pageOf(projectDto);
export const projectIdInput = z.object({ id: idSchema("project") });

export const projectsCreated = defineEvent(
  "projects.created",
  z.object({ projectId: z.string(), billingAccountId: z.string(), customerId: z.string() }),
);
